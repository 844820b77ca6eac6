// Command formats answers questions with github.com/transparency-dev/formats and /merkle: cosignatures,
// checkpoints and .tlog-proof files. Questions and answers are as those of the driver beside it, in a module of
// its own, as these packages have to come from the Go module proxy.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/transparency-dev/formats/log"
	fnote "github.com/transparency-dev/formats/note"
	"github.com/transparency-dev/formats/proof"
	merkle "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
)

type question struct {
	Op        string   `json:"op"`
	Key       string   `json:"key"`
	Note      []byte   `json:"note"`
	Witnesses []string `json:"witnesses"`
	Entry     []byte   `json:"entry"`
	Old       []byte   `json:"old"`
	Hashes    [][]byte `json:"hashes"`
}

type answer struct {
	OK  bool   `json:"ok"`
	Why string `json:"why"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	for {
		line, err := in.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		told := answer{OK: true}
		if err := reply(asked); err != nil {
			told = answer{Why: err.Error()}
		}
		if err := out.Encode(told); err != nil {
			os.Exit(1)
		}
	}
}

func reply(asked question) error {
	switch asked.Op {
	case "cosigned":
		_, err := opened(asked.Note, asked)
		return err
	case "proof":
		return included(asked)
	case "grown":
		return grown(asked)
	}
	return errors.New("no such question")
}

// opened reads a checkpoint that the log signed, and all of these witnesses.
func opened(signed []byte, asked question) (*log.Checkpoint, error) {
	key, err := fnote.NewVerifier(asked.Key)
	if err != nil {
		return nil, err
	}
	var witnesses []note.Verifier
	for _, text := range asked.Witnesses {
		one, err := fnote.NewVerifierForCosignatureV1(text)
		if err != nil {
			return nil, err
		}
		witnesses = append(witnesses, one)
	}
	origin, _, _ := strings.Cut(asked.Key, "+")
	point, rest, n, err := log.ParseCheckpoint(signed, origin, key, witnesses...)
	if err != nil {
		return nil, err
	}
	if len(rest) > 0 {
		return nil, errors.New("there is more in it than a checkpoint of ours has")
	}
	if len(n.Sigs) != 1+len(witnesses) {
		return nil, fmt.Errorf("%d of %d signatures", len(n.Sigs), 1+len(witnesses))
	}
	return point, nil
}

// included reads a .tlog-proof of an entry.
func included(asked question) error {
	var p proof.TLogProof
	if err := p.Unmarshal(asked.Note); err != nil {
		return err
	}
	point, err := opened(p.Checkpoint, asked)
	if err != nil {
		return err
	}
	var hashes [][]byte
	for _, hash := range p.Hashes {
		hashes = append(hashes, hash[:])
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(asked.Entry)
	return merkle.VerifyInclusion(rfc6962.DefaultHasher, p.Index, point.Size, leaf, hashes, point.Hash)
}

// grown checks a consistency proof between two checkpoints.
func grown(asked question) error {
	point, err := opened(asked.Note, asked)
	if err != nil {
		return err
	}
	old, err := opened(asked.Old, asked)
	if err != nil {
		return err
	}
	return merkle.VerifyConsistency(rfc6962.DefaultHasher, old.Size, point.Size, asked.Hashes, old.Hash, point.Hash)
}
