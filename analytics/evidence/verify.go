// Checks an evidence bundle in this folder with Go's own packages: go run verify.go NAME+ID+KEY
package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// folder reads tiles as tlog-tiles names them: x/mod's own paths begin with the height, these don't.
type folder struct{}

func (folder) Height() int { return 8 }

func (folder) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, t := range wanted {
		data, err := os.ReadFile(filepath.Join("tile", strings.TrimPrefix(t.Path(), "tile/8/")))
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

func (folder) SaveTiles([]tlog.Tile, [][]byte) {}

func signedTree(key string) (tlog.Tree, error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return tlog.Tree{}, err
	}
	data, err := os.ReadFile("checkpoint")
	if err != nil {
		return tlog.Tree{}, err
	}
	opened, err := note.Open(data, note.VerifierList(verifier))
	if err != nil {
		return tlog.Tree{}, err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) < 4 {
		return tlog.Tree{}, fmt.Errorf("the checkpoint is none")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, err
}

func verify(key string) error {
	tree, err := signedTree(key)
	if err != nil {
		return err
	}
	events, err := os.ReadFile("events.frames")
	if err != nil {
		return err
	}
	if len(events) < 8 {
		return io.ErrUnexpectedEOF
	}
	first := int64(binary.BigEndian.Uint64(events))
	events = events[8:]
	hashes := tlog.TileHashReader(tree, folder{}) // it checks every tile against the signed root
	leaf := first
	for len(events) > 0 {
		var indexes []int64
		var found []tlog.Hash
		for len(events) > 0 && len(found) < 256 {
			if len(events) < 4 || len(events)-4 < int(binary.BigEndian.Uint32(events)) {
				return io.ErrUnexpectedEOF
			}
			end := 4 + int(binary.BigEndian.Uint32(events))
			indexes = append(indexes, tlog.StoredHashIndex(0, leaf+int64(len(found))))
			found = append(found, tlog.RecordHash(events[4:end]))
			events = events[end:]
		}
		signed, err := hashes.ReadHashes(indexes)
		if err != nil {
			return err
		}
		for i := range found {
			if found[i] != signed[i] {
				return fmt.Errorf("leaf %d is not the one that was signed", leaf+int64(i))
			}
		}
		leaf += int64(len(found))
	}
	fmt.Printf("%d events proved: leaves %d to %d of the tree of %d\n", leaf-first, first, leaf-1, tree.N)
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "go run verify.go NAME+ID+KEY")
		os.Exit(2)
	}
	if err := verify(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
