// Notes, keys and paths: what x/mod makes of one of them.
package main

import (
	"bytes"
	"errors"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func openNote(asked question, told *answer) error {
	text, err := opened(asked.Note, asked.Key)
	told.Note = []byte(text)
	return err
}

func opened(signed []byte, key string) (string, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return "", err
	}
	n, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return "", err
	}
	return n.Text, nil
}

func signNote(asked question, told *answer) error {
	signer, err := note.NewSigner(asked.Key)
	if err != nil {
		return err
	}
	told.Note, err = note.Sign(&note.Note{Text: string(asked.Note)}, signer)
	return err
}

func readKey(asked question, _ *answer) error {
	_, err := note.NewVerifier(asked.Key)
	return err
}

// readPath reads a path of C2SP tlog-tiles, which x/mod writes with the height of a tile in it.
func readPath(asked question, told *answer) error {
	if !strings.HasPrefix(asked.Path, "tile/") {
		return errors.New("not below tile/")
	}
	rest := strings.TrimPrefix(asked.Path, "tile/")
	if strings.HasPrefix(rest, "data/") {
		return errors.New("data/ is x/mod's own name for what C2SP calls entries/")
	}
	if strings.HasPrefix(rest, "entries/") {
		rest = "data/" + strings.TrimPrefix(rest, "entries/")
	}
	tile, err := tlog.ParseTilePath("tile/8/" + rest)
	told.Level, told.Number, told.Width = tile.L, tile.N, tile.W
	return err
}

func readCheckpoint(asked question, told *answer) error {
	tree, err := parsed(asked.Note)
	told.Size, told.Hash = tree.N, tree.Hash[:]
	return err
}

// parsed reads a checkpoint. x/mod knows one origin only, that of Go's own database: it stands in for ours.
func parsed(text []byte) (tlog.Tree, error) {
	origin, rest, _ := bytes.Cut(text, []byte("\n"))
	if len(origin) == 0 {
		return tlog.Tree{}, errors.New("no origin")
	}
	return tlog.ParseTree(append([]byte("go.sum database tree\n"), rest...))
}

// head returns the tree a signed checkpoint states, whose origin must be the name of its key.
func head(signed []byte, key string) (tlog.Tree, error) {
	text, err := opened(signed, key)
	if err != nil {
		return tlog.Tree{}, err
	}
	origin, _, _ := strings.Cut(text, "\n")
	if name, _, _ := strings.Cut(key, "+"); origin != name {
		return tlog.Tree{}, errors.New("the origin is not the name of the key")
	}
	return parsed([]byte(text))
}
