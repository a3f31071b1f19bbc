//go:build !closewrite

package main

import (
	"errors"

	"github.com/xtaci/smux"
)

const hasCloseWrite = false

func closeWrite(*smux.Stream) error {
	return errors.New("this release has no CloseWrite (or the peer was built without the tag closewrite)")
}
