//go:build linux

package main

import (
	"bytes"
	"errors"
	"io"
	"testing"
)

func TestBodiesArriveWhole(t *testing.T) {
	up, err := newBodyUpstream(3<<20 + 5)
	if err != nil {
		t.Fatal(err)
	}
	defer up.close()
	for _, shape := range bodyShapes {
		t.Run(shape.name, func(t *testing.T) {
			send := up.download
			if shape.upload {
				send = up.upload
			}
			if err := send(t.Context(), up.addr, shape.chunked); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBodiesThatAreNotWholeAreErrors(t *testing.T) {
	up, err := newBodyUpstream(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer up.close()
	whole, err := io.ReadAll(newPattern(up.size))
	if err != nil {
		t.Fatal(err)
	}
	swapped := bytes.Clone(whole)
	copy(swapped[4096:8192], whole[8192:12288])
	for _, tt := range []struct {
		name string
		got  received
		good bool
	}{
		{"the body itself", drain(bytes.NewReader(whole)), true},
		{"cut short", drain(bytes.NewReader(whole[:len(whole)-1])), false},
		{"a part repeated", drain(bytes.NewReader(swapped)), false},
		{"read with an error", received{up.size, up.sum, errors.New("reset")}, false},
	} {
		if err := up.check(tt.got); (err == nil) != tt.good {
			t.Errorf("%s: check = %v, want good %t", tt.name, err, tt.good)
		}
	}
}
