module smux-benches

go 1.22

require (
	github.com/HdrHistogram/hdrhistogram-go v1.1.2
	github.com/hashicorp/yamux v0.1.2
	github.com/xtaci/smux v1.5.58
)
