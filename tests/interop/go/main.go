// Command driver answers questions with golang.org/x/mod/sumdb, so that its verdicts stand beside ours.
//
// Questions come on standard input and answers go to standard output, one JSON object a line. All that is
// ours here is the way to the files and the form of the questions: notes, keys, tile paths, hashes and
// proofs are judged by the packages note and tlog alone.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

type question struct {
	Op     string `json:"op"`
	At     string `json:"at"`   // a folder, or the address of a log that is served
	Key    string `json:"key"`  // a verifier key, or a signer's to sign with
	Note   []byte `json:"note"` // a note, or the text of one
	Path   string `json:"path"`
	Number int64  `json:"number"`
}

type answer struct {
	OK     bool     `json:"ok"`
	Why    string   `json:"why"` // what was done, or why not
	Note   []byte   `json:"note,omitempty"`
	Size   int64    `json:"size"`
	Level  int      `json:"level"`
	Number int64    `json:"number"`
	Width  int      `json:"width"`
	Hash   []byte   `json:"hash,omitempty"`
	Hashes [][]byte `json:"hashes,omitempty"`
}

var ops = map[string]func(question, *answer) error{
	"log":        checkLog,
	"grown":      checkGrown,
	"prove":      proveEntry,
	"note":       openNote,
	"sign":       signNote,
	"key":        readKey,
	"path":       readPath,
	"checkpoint": readCheckpoint,
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
		if err := out.Encode(reply(asked)); err != nil {
			os.Exit(1)
		}
	}
}

func reply(asked question) (told answer) {
	defer func() {
		if wrong := recover(); wrong != nil {
			told = answer{Why: fmt.Sprintf("panic: %v", wrong)}
		}
	}()
	do := ops[asked.Op]
	if do == nil {
		return answer{Why: "no such question"}
	}
	if err := do(asked, &told); err != nil {
		return answer{Why: err.Error()}
	}
	told.OK = true
	return told
}
