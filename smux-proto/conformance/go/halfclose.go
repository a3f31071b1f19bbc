//go:build closewrite

package main

import "github.com/xtaci/smux"

const hasCloseWrite = true

func closeWrite(stream *smux.Stream) error {
	return stream.CloseWrite()
}
