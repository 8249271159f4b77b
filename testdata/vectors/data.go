//go:build data

package vectors

// Never compiled: this keeps the requirement, whose files the tests read where the go command put them.
import _ "github.com/c2sp/wycheproof"
