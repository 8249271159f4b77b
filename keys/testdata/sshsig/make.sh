#!/usr/bin/env bash
# Made everything beside this file, with the ssh-keygen of OpenSSH 9.2p1: keys whose private halves are thrown away, and their signatures
# of message.txt. Run again in this directory, it makes others, and the tests must pass with them.
set -euo pipefail
keys=$(mktemp -d)
trap 'rm -r "$keys"' EXIT
rm -f ./*.pub ./*.sig
make() { # name, then what ssh-keygen needs to know of the key
  ssh-keygen -q -N "" -C "$1" -f "$keys/$1" "${@:2}"
  cp "$keys/$1.pub" .
  sign "$1" sha512 -n undersigned@ledger.example/tccm
  sign "$1" sha256 -n undersigned@ledger.example/tccm -O hashalg=sha256
  sign "$1" file -n file
  sign "$1" git -n git
  sign "$1" other-ledger -n undersigned@ledger.example/other
  sign "$1" longer-namespace -n undersigned@ledger.example/tccm/
}
sign() { ssh-keygen -q -Y sign -f "$keys/$1" "${@:3}" < message.txt > "$1.$2.sig"; }
make ed25519 -t ed25519
make p256 -t ecdsa -b 256
make p384 -t ecdsa -b 384
make p521 -t ecdsa -b 521
make rsa2048 -t rsa -b 2048
make rsa3072 -t rsa -b 3072
make rsa4096 -t rsa -b 4096
