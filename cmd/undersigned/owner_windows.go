package main

// ownersAlone refuses nothing: a file's rights are those of its directory.
func ownersAlone(string, int) error { return nil }
