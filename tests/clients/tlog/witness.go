package main

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// A witness as C2SP's tlog-witness describes it, for one log, which forgets everything when it ends.
type witness struct {
	name    string
	key     ed25519.PrivateKey
	known   note.Verifiers
	origin  string
	mu      sync.Mutex
	newest  tlog.Tree
	another bool // sign with a key that is not the one it named
}

// runWitness prints the verifier key and the URL, and serves until its input ends.
func runWitness(name, logKey string, options []string, until io.Reader) error {
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return err
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	w := &witness{name: name, key: private, known: note.VerifierList(verifier), origin: verifier.Name()}
	w.another = len(options) > 0 && options[0] == "another-key"
	encoded := base64.StdEncoding.EncodeToString(append([]byte{4}, public...))
	fmt.Printf("%s+%08x+%s\n", name, keyID(name, public), encoded)
	fmt.Printf("http://%s/sub\n", listener.Addr())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /sub/add-checkpoint", w.add)
	go http.Serve(listener, mux)
	_, err = io.Copy(io.Discard, until)
	return err
}

func keyID(name string, public ed25519.PublicKey) uint32 {
	digest := sha256.Sum256(append([]byte(name+"\n\x04"), public...))
	return binary.BigEndian.Uint32(digest[:])
}

type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func (w *witness) add(out http.ResponseWriter, in *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, in.Body, 64<<10))
	if err == nil {
		var signed string
		if signed, err = w.cosign(body); err == nil {
			io.WriteString(out, signed)
			return
		}
	}
	var refused refusal
	if !errors.As(err, &refused) {
		refused = refusal{400, err.Error()}
	}
	if refused.status == 409 {
		out.Header().Set("Content-Type", "text/x.tlog.size")
	}
	out.WriteHeader(refused.status)
	io.WriteString(out, refused.text+"\n")
}

func (w *witness) cosign(body []byte) (string, error) {
	head, data, found := bytes.Cut(body, []byte("\n\n"))
	if !found {
		return "", refusal{400, "no checkpoint"}
	}
	lines := bufio.NewScanner(bytes.NewReader(head))
	if !lines.Scan() || !strings.HasPrefix(lines.Text(), "old ") {
		return "", refusal{400, "no old size"}
	}
	old, err := strconv.ParseInt(strings.TrimPrefix(lines.Text(), "old "), 10, 64)
	if err != nil {
		return "", err
	}
	var path tlog.TreeProof
	for lines.Scan() {
		one, err := tlog.ParseHash(lines.Text())
		if err != nil {
			return "", err
		}
		path = append(path, one)
	}
	if origin, _, _ := bytes.Cut(data, []byte("\n")); string(origin) != w.origin {
		return "", refusal{404, "another log"}
	}
	opened, err := note.Open(data, w.known)
	if err != nil {
		return "", refusal{403, err.Error()}
	}
	tree, _, err := parseCheckpoint(data, w.known)
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err := w.check(old, tree, path); err != nil {
		return "", err
	}
	w.newest = tree
	return w.sign(opened.Text), nil
}

func (w *witness) check(old int64, tree tlog.Tree, path tlog.TreeProof) error {
	switch {
	case old > tree.N:
		return refusal{400, "the old tree is larger"}
	case old != w.newest.N:
		return refusal{409, strconv.FormatInt(w.newest.N, 10)}
	case old == 0 && len(path) > 0:
		return refusal{422, "a proof from an empty tree"}
	case old == tree.N && old > 0 && tree.Hash != w.newest.Hash:
		return refusal{422, "two trees of one size"}
	case old > 0:
		if err := tlog.CheckTree(path, tree.N, tree.Hash, old, w.newest.Hash); err != nil {
			return refusal{422, err.Error()}
		}
	}
	return nil
}

func (w *witness) sign(text string) string {
	key := w.key
	if w.another {
		_, key, _ = ed25519.GenerateKey(rand.Reader)
	}
	now := uint64(time.Now().Unix())
	signature := ed25519.Sign(key, []byte(fmt.Sprintf("cosignature/v1\ntime %d\n%s", now, text)))
	public := w.key.Public().(ed25519.PublicKey)
	raw := binary.BigEndian.AppendUint32(nil, keyID(w.name, public))
	raw = append(binary.BigEndian.AppendUint64(raw, now), signature...)
	return fmt.Sprintf("— %s %s\n", w.name, base64.StdEncoding.EncodeToString(raw))
}
