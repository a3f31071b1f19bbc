// Marks the module's root, and serves tools that know nothing of -modfile.
// The test peers are built with -modfile=go1.5.NN.mod, one file per release.
module smux-peer

go 1.22

require github.com/xtaci/smux v1.5.58
