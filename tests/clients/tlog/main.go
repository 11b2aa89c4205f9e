// Verifies a log as its readers would, with Go's own packages: golang.org/x/mod/sumdb/note and sumdb/tlog.
//
//	tlog vectors                         signed notes and trees made by Go, as JSON
//	tlog checkpoint VKEY FILE            the checkpoint's signature and text
//	tlog tiles VKEY FOLDER               every tile and entry of the folder lead to the signed root
//	tlog prove VKEY FOLDER INDEX         an inclusion proof made by Go from our tiles
//	tlog consistency VKEY FOLDER OLD     OLD is a file with an earlier checkpoint of the log
//	tlog proof VKEY FILE [EVENT]         a .tlog-proof file; the event inside it or in EVENT
//	tlog witness NAME VKEY [another-key] a witness of the log, until standard input ends
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 1 && args[0] == "vectors" {
		return vectors()
	}
	if len(args) < 3 {
		return fmt.Errorf("used wrongly")
	}
	if args[0] == "witness" {
		return runWitness(args[1], args[2], args[3:], os.Stdin)
	}
	verifier, err := note.NewVerifier(args[1])
	if err != nil {
		return err
	}
	known := note.VerifierList(verifier)
	switch args[0] {
	case "checkpoint":
		tree, origin, err := openCheckpoint(args[2], known)
		if err == nil {
			fmt.Println(origin, tree.N, tree.Hash)
		}
		return err
	case "tiles":
		return tiles(args[2], known)
	case "prove":
		return prove(args[2], args[3], known)
	case "consistency":
		return consistency(args[2], args[3], known)
	case "proof":
		return proof(args[2:], known)
	}
	return fmt.Errorf("unknown: %s", args[0])
}

func openCheckpoint(file string, known note.Verifiers) (tlog.Tree, string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return tlog.Tree{}, "", err
	}
	return parseCheckpoint(data, known)
}

func parseCheckpoint(data []byte, known note.Verifiers) (tlog.Tree, string, error) {
	opened, err := note.Open(data, known)
	if err != nil {
		return tlog.Tree{}, "", err
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tlog.Tree{}, "", fmt.Errorf("a checkpoint of %d lines", len(lines))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return tlog.Tree{}, "", err
	}
	root, err := tlog.ParseHash(lines[2])
	return tlog.Tree{N: size, Hash: root}, lines[0], err
}

// folder reads tiles as tlog-tiles names them: x/mod's own paths begin with the height, ours don't.
type folder struct{ root string }

func (f folder) Height() int { return 8 }

func (f folder) path(t tlog.Tile) string {
	path := strings.TrimPrefix(t.Path(), "tile/8/")
	if t.L == -1 {
		path = "entries" + strings.TrimPrefix(path, "data")
	}
	return filepath.Join(f.root, "tile", path)
}

func (f folder) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, t := range wanted {
		data, err := os.ReadFile(f.path(t))
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

func (f folder) SaveTiles([]tlog.Tile, [][]byte) {}

func hashes(root string, tree tlog.Tree) tlog.HashReader {
	return tlog.TileHashReader(tree, folder{root})
}

func tiles(root string, known note.Verifiers) error {
	tree, _, err := openCheckpoint(filepath.Join(root, "checkpoint"), known)
	if err != nil {
		return err
	}
	if tree.N == 0 {
		return nil
	}
	source := folder{root}
	var count int64
	var stored []tlog.Hash
	held := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			found[i] = stored[at]
		}
		return found, nil
	})
	for n := int64(0); n*256 < tree.N; n++ {
		width := min(int(tree.N-n*256), 256)
		bundle, err := os.ReadFile(source.path(tlog.Tile{H: 8, L: -1, N: n, W: width}))
		if err != nil {
			return err
		}
		for len(bundle) > 0 {
			if len(bundle) < 2 || len(bundle) < 2+int(binary.BigEndian.Uint16(bundle)) {
				return fmt.Errorf("bundle %d does not add up", n)
			}
			end := 2 + int(binary.BigEndian.Uint16(bundle))
			more, err := tlog.StoredHashes(count, bundle[2:end], held)
			if err != nil {
				return err
			}
			stored = append(stored, more...)
			bundle = bundle[end:]
			count++
		}
	}
	if count != tree.N {
		return fmt.Errorf("%d entries of %d", count, tree.N)
	}
	made, err := tlog.TreeHash(tree.N, held)
	if err != nil {
		return err
	}
	if made != tree.Hash {
		return fmt.Errorf("the entries' root is %v, signed is %v", made, tree.Hash)
	}
	// Every tile of the tree holds what Go makes of the entries.
	for _, t := range tlog.NewTiles(8, 0, tree.N) {
		own, err := tlog.ReadTileData(t, held)
		if err != nil {
			return err
		}
		ours, err := os.ReadFile(source.path(t))
		if err != nil {
			return err
		}
		if !bytes.Equal(own, ours) {
			return fmt.Errorf("tile %s differs", t.Path())
		}
	}
	fmt.Println(count)
	return nil
}

func prove(root, place string, known note.Verifiers) error {
	tree, _, err := openCheckpoint(filepath.Join(root, "checkpoint"), known)
	if err != nil {
		return err
	}
	index, err := strconv.ParseInt(place, 10, 64)
	if err != nil {
		return err
	}
	reader := hashes(root, tree)
	made, err := tlog.ProveRecord(tree.N, index, reader)
	if err != nil {
		return err
	}
	found, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(made, tree.N, tree.Hash, index, found[0]); err != nil {
		return err
	}
	for _, one := range made {
		fmt.Println(one)
	}
	return nil
}

func consistency(root, older string, known note.Verifiers) error {
	tree, origin, err := openCheckpoint(filepath.Join(root, "checkpoint"), known)
	if err != nil {
		return err
	}
	before, same, err := openCheckpoint(older, known)
	if err != nil {
		return err
	}
	if same != origin {
		return fmt.Errorf("checkpoints of %s and %s", same, origin)
	}
	made, err := tlog.ProveTree(tree.N, before.N, hashes(root, tree))
	if err != nil {
		return err
	}
	if err := tlog.CheckTree(made, tree.N, tree.Hash, before.N, before.Hash); err != nil {
		return err
	}
	for _, one := range made {
		fmt.Println(one)
	}
	return nil
}

func proof(args []string, known note.Verifiers) error {
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	head, signed, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		return fmt.Errorf("no checkpoint")
	}
	lines := strings.Split(string(head), "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		return fmt.Errorf("no proof")
	}
	lines = lines[1:]
	var event []byte
	if encoded, has := strings.CutPrefix(lines[0], "extra "); has {
		if event, err = base64.StdEncoding.DecodeString(encoded); err != nil {
			return err
		}
		lines = lines[1:]
	}
	if len(args) > 1 {
		if event, err = os.ReadFile(args[1]); err != nil {
			return err
		}
	}
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[0], "index "), 10, 64)
	if err != nil {
		return err
	}
	var path tlog.RecordProof
	for _, line := range lines[1:] {
		one, err := tlog.ParseHash(line)
		if err != nil {
			return err
		}
		path = append(path, one)
	}
	tree, _, err := parseCheckpoint(signed, known)
	if err != nil {
		return err
	}
	if err := tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(event)); err != nil {
		return err
	}
	fmt.Println(index, tree.N)
	return nil
}

type noteVector struct{ Name, Seed, SignerKey, VerifierKey, Text, Note string }

type treeVector struct {
	Leaves      int
	Root        string
	Inclusion   map[string][]string // by index
	Consistency map[string][]string // by the old tree's size
}

// seedReader gives note.GenerateKey the seed that the vector names.
type seedReader struct{ seed []byte }

func (r seedReader) Read(into []byte) (int, error) { return copy(into, r.seed), nil }

func vectors() error {
	var notes []noteVector
	for i, name := range []string{"log.example/airlock", "élysée.example", "x"} {
		seed := sha256.Sum256([]byte(name))
		private := ed25519.NewKeyFromSeed(seed[:])
		public := private.Public().(ed25519.PublicKey)
		vkey, err := note.NewEd25519VerifierKey(name, public)
		if err != nil {
			return err
		}
		skey, generated, err := note.GenerateKey(seedReader{seed[:]}, name)
		if err != nil {
			return err
		}
		if generated != vkey {
			skey = privateKey(name, vkey, seed[:])
		}
		signer, err := note.NewSigner(skey)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s\n%d\n%s\n", name, i*1000, tlog.RecordHash([]byte(name)))
		if i == 2 {
			text = "several lines\n\nand an empty one: ü €\n"
		}
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		if err != nil {
			return err
		}
		notes = append(notes, noteVector{
			name, base64.StdEncoding.EncodeToString(seed[:]), skey, vkey, text, string(signed),
		})
	}
	trees, err := trees(20)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	return out.Encode(map[string]any{"notes": notes, "trees": trees})
}

func privateKey(name, vkey string, seed []byte) string {
	id := strings.SplitN(vkey, "+", 3)[1]
	return fmt.Sprintf("PRIVATE+KEY+%s+%s+%s", name, id, base64.StdEncoding.EncodeToString(append([]byte{1}, seed...)))
}

// trees are those of the leaves "0", "1", … up to each size, with every proof.
func trees(largest int) ([]treeVector, error) {
	var stored []tlog.Hash
	held := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for i, at := range indexes {
			found[i] = stored[at]
		}
		return found, nil
	})
	var made []treeVector
	for size := 1; size <= largest; size++ {
		more, err := tlog.StoredHashes(int64(size-1), []byte(strconv.Itoa(size-1)), held)
		if err != nil {
			return nil, err
		}
		stored = append(stored, more...)
		root, err := tlog.TreeHash(int64(size), held)
		if err != nil {
			return nil, err
		}
		one := treeVector{size, root.String(), map[string][]string{}, map[string][]string{}}
		for place := 0; place < size; place++ {
			path, err := tlog.ProveRecord(int64(size), int64(place), held)
			if err != nil {
				return nil, err
			}
			one.Inclusion[strconv.Itoa(place)] = texts(path)
			before, err := tlog.ProveTree(int64(size), int64(place+1), held)
			if err != nil {
				return nil, err
			}
			one.Consistency[strconv.Itoa(place+1)] = texts(before)
		}
		made = append(made, one)
	}
	return made, nil
}

func texts[T ~[]tlog.Hash](path T) []string {
	found := []string{}
	for _, one := range path {
		found = append(found, one.String())
	}
	return found
}
