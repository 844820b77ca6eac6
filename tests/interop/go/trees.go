// A log as a folder or an address: every tile, every entry and proofs of both kinds, by package tlog.
package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

const (
	height    = 8
	width     = 1 << height
	proofsMax = 2000 // of one log: of larger ones, the edges and every so many
)

// fetch reads over HTTP where the driver was built with that (served.go).
var fetch = func(string) ([]byte, error) { return nil, errors.New("built without HTTP") }

// files is where a log lies.
type files string

func (at files) read(path string) ([]byte, error) {
	if strings.HasPrefix(string(at), "http://") {
		return fetch(string(at) + "/" + path)
	}
	return os.ReadFile(filepath.Join(string(at), filepath.FromSlash(path)))
}

// tiles makes files a tlog.TileReader. x/mod has a tile's height in its path, C2SP does not.
type tiles struct{ files }

func (t tiles) Height() int                         { return height }
func (t tiles) SaveTiles(_ []tlog.Tile, _ [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		data, err := t.read(path(tile))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func path(tile tlog.Tile) string {
	p := strings.TrimPrefix(tile.Path(), "tile/8/")
	return "tile/" + strings.Replace(p, "data/", "entries/", 1)
}

// checkLog follows everything a checkpoint covers.
func checkLog(asked question, told *answer) error {
	at := files(asked.At)
	signed, err := at.read("checkpoint")
	if err != nil {
		return err
	}
	tree, err := head(signed, asked.Key)
	if err != nil {
		return err
	}
	reader := tlog.TileHashReader(tree, tiles{at})
	if root, err := tlog.TreeHash(tree.N, reader); err != nil || root != tree.Hash {
		return fmt.Errorf("root: %v", err)
	}
	published := tlog.NewTiles(height, 0, tree.N)
	for _, tile := range published {
		shown, err := at.read(path(tile))
		if err != nil {
			return err
		}
		right, err := tlog.ReadTileData(tile, reader)
		if err != nil || !bytes.Equal(shown, right) {
			return fmt.Errorf("%s: %v", path(tile), err)
		}
	}
	leaves, err := checkEntries(at, tree, reader)
	if err != nil {
		return err
	}
	proofs, err := checkProofs(tree, leaves, reader)
	told.Size = tree.N
	told.Hash = tree.Hash[:]
	told.Why = fmt.Sprintf("%d entries, %d tiles, %d proofs", tree.N, len(published), proofs)
	return err
}

// checkEntries hashes the entries of all bundles and compares with the leaves in the tiles.
func checkEntries(at files, tree tlog.Tree, reader tlog.HashReader) ([]tlog.Hash, error) {
	var leaves []tlog.Hash
	for start := int64(0); start < tree.N; start += width {
		count := tree.N - start
		if count > width {
			count = width
		}
		bundle := path(tlog.Tile{H: height, L: -1, N: start / width, W: int(count)})
		data, err := at.read(bundle)
		if err != nil {
			return nil, err
		}
		var indexes []int64
		for i := int64(0); i < count; i++ {
			if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
				return nil, fmt.Errorf("%s: ends early", bundle)
			}
			end := 2 + int(binary.BigEndian.Uint16(data))
			leaves = append(leaves, tlog.RecordHash(data[2:end]))
			indexes = append(indexes, tlog.StoredHashIndex(0, start+i))
			data = data[end:]
		}
		if len(data) > 0 {
			return nil, fmt.Errorf("%s: goes on after its last entry", bundle)
		}
		hashes, err := reader.ReadHashes(indexes)
		if err != nil {
			return nil, err
		}
		for i, hash := range hashes {
			if hash != leaves[start+int64(i)] {
				return nil, fmt.Errorf("%s: entry %d is not the leaf in the tile", bundle, start+int64(i))
			}
		}
	}
	return leaves, nil
}

// checkProofs proves entries to be in the tree, and earlier trees to be what it began as.
func checkProofs(tree tlog.Tree, leaves []tlog.Hash, reader tlog.HashReader) (int, error) {
	proofs := 0
	step := 1 + 2*tree.N/proofsMax
	for n := int64(0); n < tree.N; n++ {
		if n%step != 0 && n%width > 0 && n%width < width-1 && n != tree.N-1 {
			continue
		}
		record, err := tlog.ProveRecord(tree.N, n, reader)
		if err == nil {
			err = tlog.CheckRecord(record, tree.N, tree.Hash, n, leaves[n])
		}
		if err != nil {
			return proofs, fmt.Errorf("record %d: %w", n, err)
		}
		if tlog.CheckRecord(record, tree.N, tree.Hash, n, tlog.RecordHash([]byte("another"))) == nil {
			return proofs, fmt.Errorf("record %d: another entry was proven", n)
		}
		root, err := tlog.TreeHash(n+1, reader)
		if err != nil {
			return proofs, err
		}
		grown, err := tlog.ProveTree(tree.N, n+1, reader)
		if err == nil {
			err = tlog.CheckTree(grown, tree.N, tree.Hash, n+1, root)
		}
		if err != nil {
			return proofs, fmt.Errorf("tree %d: %w", n+1, err)
		}
		proofs += 2
	}
	return proofs, nil
}

// checkGrown tells whether a log extends a checkpoint of it that was kept.
func checkGrown(asked question, told *answer) error {
	at := files(asked.At)
	signed, err := at.read("checkpoint")
	if err != nil {
		return err
	}
	tree, err := head(signed, asked.Key)
	if err != nil {
		return err
	}
	kept, err := head(asked.Note, asked.Key)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveTree(tree.N, kept.N, tlog.TileHashReader(tree, tiles{at}))
	if err != nil {
		return err
	}
	told.Why = fmt.Sprintf("%d hashes", len(proof))
	return tlog.CheckTree(proof, tree.N, tree.Hash, kept.N, kept.Hash)
}

// proveEntry returns the hashes that prove one entry to be in a log.
func proveEntry(asked question, told *answer) error {
	at := files(asked.At)
	signed, err := at.read("checkpoint")
	if err != nil {
		return err
	}
	tree, err := head(signed, asked.Key)
	if err != nil {
		return err
	}
	proof, err := tlog.ProveRecord(tree.N, asked.Number, tlog.TileHashReader(tree, tiles{at}))
	for _, hash := range proof {
		told.Hashes = append(told.Hashes, hash[:])
	}
	return err
}
