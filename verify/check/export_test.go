package check

// AppendJSON is for tests.
var AppendJSON = appendJSON
