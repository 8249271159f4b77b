package source

import (
	"bytes"
	"crypto"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"

	mldsax509 "filippo.io/mldsa/x509"
	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"github.com/sigstore/sigstore/pkg/cryptoutils"

	"github.com/tccm/undersigned/keys"
)

// PEM types beside those that cryptoutils names.
const (
	pemCosign        = "ENCRYPTED COSIGN PRIVATE KEY"
	pemPKCS8         = "ENCRYPTED PRIVATE KEY"
	pemOpenSSH       = "OPENSSH PRIVATE KEY"
	pemProcType      = "Proc-Type" // header of openssl's old encryption, RFC 1421
	maxKeyFile       = 64 << 10    // bytes; an encrypted RSA-4096 key has 4 KiB
	toPKCS8          = "openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW"
	maxPasswordBytes = 1024
)

var (
	// ErrPasswordNeeded is what errors.Is finds where a key is encrypted and no password was at hand.
	ErrPasswordNeeded = errors.New("it is encrypted, and no password was given")
	// ErrPassword is what errors.Is finds where a key cannot be decrypted.
	ErrPassword = errors.New("the password is wrong or the file is damaged")
)

// Load reads a key file. It calls password, which may be nil, only if the file is encrypted.
// suite "" stands for the one that fits the key's type; an RSA key is rsa-pss-sha256 unless suite
// says rsa-pkcs1-sha256.
//
// Every error is a sentence that names the file and says what to do; none repeats its content.
// errors.Is finds fs.ErrNotExist, fs.ErrPermission, ErrPasswordNeeded and ErrPassword in it.
func Load(path string, password PasswordFunc, suite keys.Suite) (*Key, error) {
	data, exposed, err := readSecret(path, maxKeyFile)
	if err != nil {
		return nil, err
	}
	defer clear(data)
	if exposed != nil && HoldsPrivateKey(data) { // who may read anything else does not matter: parse says what it is
		return nil, exposed
	}
	private, err := parse(data, password)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	signer, ok := private.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("key file %s: it holds a key that cannot sign", path)
	}
	key, err := New(signer, suite)
	if err != nil {
		return nil, fmt.Errorf("key file %s: %w", path, err)
	}
	return key, nil
}

// Save writes the key to a new file that its owner alone may read, as PKCS#8 or, if password is
// not nil, encrypted in cosign's format. When it returns nil the file is durable. It never
// replaces a file: errors.Is finds fs.ErrExist. A key that lives in a device cannot be saved.
func (k *Key) Save(path string, password []byte) error {
	var der []byte
	err := errDamaged
	if k.signer != nil {
		der, err = mldsax509.MarshalPKCS8PrivateKey(k.signer)
	}
	if err != nil {
		return fmt.Errorf("key file %s: the key cannot leave the device that holds it", path)
	}
	defer clear(der)
	kind, body := cryptoutils.PrivateKeyPEMType, der
	if password != nil {
		if len(password) == 0 {
			return fmt.Errorf("key file %s: the password is empty", path)
		}
		if body, err = encrypted.Encrypt(der, password); err != nil {
			return fmt.Errorf("key file %s: encrypting: %w", path, err)
		}
		kind = cryptoutils.EncryptedSigstorePrivateKeyPEMType
	}
	data := cryptoutils.PEMEncode(kind, body)
	defer clear(data)
	return writePrivate(path, data)
}

// parse returns the private key in a file's one PEM block.
func parse(data []byte, password PasswordFunc) (crypto.PrivateKey, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("it holds no PEM block; a key file starts with -----BEGIN PRIVATE KEY----- or its like")
	}
	defer clear(block.Bytes)
	if bytes.Count(data, []byte("-----BEGIN ")) > 1 {
		return nil, errors.New("it holds more than one PEM block; keep the private key alone, for instance by " + toPKCS8)
	}
	if block.Headers[pemProcType] != "" {
		return nil, errors.New("it is encrypted in openssl's old way, which does not protect it; convert it with openssl pkcs8 -topk8 -in OLD -out NEW")
	}
	switch block.Type {
	case string(cryptoutils.PrivateKeyPEMType):
		return parsePKCS8(block.Bytes)

	case string(cryptoutils.EncryptedSigstorePrivateKeyPEMType), pemCosign:
		if !json.Valid(block.Bytes) {
			return nil, errors.New("it is damaged: what it encrypts is not in cosign's format")
		}
		secret, err := ask(password)
		if err != nil {
			return nil, err
		}
		defer clear(secret)
		der, err := encrypted.Decrypt(block.Bytes, secret)
		if err != nil {
			return nil, fmt.Errorf("%w (%v)", ErrPassword, err)
		}
		defer clear(der)
		return parsePKCS8(der)

	case pemPKCS8:
		secret, err := ask(password)
		if err != nil {
			return nil, err
		}
		defer clear(secret)
		key, err := cryptoutils.UnmarshalPEMToPrivateKey(data, cryptoutils.StaticPasswordFunc(secret))
		if err != nil {
			return nil, ErrPassword
		}
		return key, nil

	case string(cryptoutils.ECPrivateKeyPEMType), string(cryptoutils.PKCS1PrivateKeyPEMType):
		key, err := cryptoutils.UnmarshalPEMToPrivateKey(data, nil)
		if err != nil {
			return nil, errDamaged
		}
		return key, nil

	case string(cryptoutils.PublicKeyPEMType), string(cryptoutils.PKCS1PublicKeyPEMType), "CERTIFICATE":
		return nil, errors.New("it holds a public key; the private key's file is needed to sign")

	case pemOpenSSH:
		return nil, errors.New("it holds a key in OpenSSH's own format, which signs by ssh-agent (ssh-agent:NAME in place of a file) or ssh-keygen -Y sign")
	}
	return nil, errors.New("its PEM block is not a private key; PRIVATE KEY and ENCRYPTED SIGSTORE PRIVATE KEY are the types to use")
}

var errDamaged = errors.New("it is damaged, or a key of a type that no suite has")

// parsePKCS8 reads an unencrypted PKCS#8 key of any type that a suite might have.
func parsePKCS8(der []byte) (crypto.PrivateKey, error) {
	key, err := mldsax509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errDamaged
	}
	return key, nil
}

// ask calls password, which may be nil, for a copy that the caller may clear.
func ask(password PasswordFunc) ([]byte, error) {
	if password == nil {
		return nil, ErrPasswordNeeded
	}
	secret, err := password(false)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(secret), nil
}

// aPrivateKey finds the line with which a private key begins: in PEM form of any type, or in those of PuTTY, age and Go's notes.
var aPrivateKey = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?m)(?:^|\r)[\s\x{FEFF}]*(?:-----BEGIN [^\n\r]*PRIVATE KEY|PuTTY-User-Key-File|AGE-SECRET-KEY-|PRIVATE\+KEY\+)`)
})

// HoldsPrivateKey says whether a file's bytes are a private key, encrypted or not, and whether or not Load takes it.
func HoldsPrivateKey(data []byte) bool { return aPrivateKey().Match(data) }

// readPrivate reads a secret of at most limit bytes from a file that nobody but its owner may
// read.
func readPrivate(path string, limit int64) ([]byte, error) {
	data, exposed, err := readSecret(path, limit)
	if err == nil && exposed != nil {
		clear(data)
		return nil, exposed
	}
	return data, err
}

// readSecret reads what may be a secret of at most limit bytes, and tells apart that others than its owner may read it.
func readSecret(path string, limit int64) (data []byte, exposed, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.IsDir() {
		return nil, nil, fmt.Errorf("%s is a directory, not a file", path)
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		exposed = &exposedError{path, info.Mode().Perm()}
	}
	data, err = io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		clear(data)
		return nil, nil, fmt.Errorf("%s is larger than %d bytes, so it is no key or password", path, limit)
	}
	return data, exposed, nil
}

// exposedError says that others than its owner have a right to a file.
type exposedError struct {
	path string
	mode fs.FileMode
}

func (e *exposedError) Error() string {
	return fmt.Sprintf("others than its owner may use %s (mode %04o), so it is not taken for a secret; run: chmod 600 %s",
		e.path, e.mode, quote(e.path))
}

func (e *exposedError) Is(target error) bool { return target == fs.ErrPermission }

// quote returns a path as a shell takes it.
func quote(path string) string {
	if strings.Trim(path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-") == "" {
		return path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// writePrivate creates a file with mode 0600 and makes it and its name durable. After a crash the
// file is there whole or not at all.
func writePrivate(path string, data []byte) (err error) {
	if _, err := os.Lstat(path); err == nil {
		return replaceError(&fs.PathError{Op: "create", Path: path, Err: fs.ErrExist})
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".key-") // with mode 0600
	if err != nil {
		return err
	}
	temp := f.Name()
	defer os.Remove(temp)
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return err
	}
	// Unlike a rename, a link never replaces a file that was made meanwhile. Where the file system has none, it
	// takes two processes that make the same key at one moment to lose one.
	if err = os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if _, e := os.Lstat(path); errors.Is(e, fs.ErrNotExist) {
			err = os.Rename(temp, path)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		return replaceError(err)
	}
	if err != nil {
		return err
	}
	os.Remove(temp) // before the names are durable, so that no copy is left behind
	return syncDir(filepath.Dir(path))
}

func replaceError(err error) error {
	return fmt.Errorf("%w: a key file is never replaced; choose another name", err)
}

// syncDir makes the names in a directory durable where the system can.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
