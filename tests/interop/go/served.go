//go:build served

// A log as it is served. Apart from the rest, as building Go's HTTP takes longer than all else.
package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

const bytesMax = 256 * (2 + 65535)

func init() {
	client := &http.Client{Timeout: 60 * time.Second}
	fetch = func(address string) ([]byte, error) {
		found, err := client.Get(address)
		if err != nil {
			return nil, err
		}
		defer found.Body.Close()
		if found.StatusCode != http.StatusOK {
			return nil, fmt.Errorf("%s: %s", address, found.Status)
		}
		kind := "application/octet-stream"
		if strings.HasSuffix(address, "/checkpoint") {
			kind = "text/plain; charset=utf-8"
		}
		if told := found.Header.Get("Content-Type"); told != kind {
			return nil, fmt.Errorf("%s: a Content-Type of %q; tlog-tiles says %q", address, told, kind)
		}
		return io.ReadAll(io.LimitReader(found.Body, bytesMax+1))
	}
}
