// Package timestamp checks time stamps of RFC 3161: the word of an authority, which need know nothing of this record, that some bytes
// existed at a time. What is stamped is a published checkpoint note, byte for byte.
//
// A token is a CMS SignedData (RFC 5652) in DER. Of what that allows, it must be this:
//
//	ContentInfo         id-signedData
//	  SignedData        version 3, one digest algorithm, one signer
//	    eContentType    id-ct-TSTInfo
//	    eContent        TSTInfo: the hash of the stamped bytes, the time, the accuracy, a serial number, a nonce
//	    certificates    the authority's, and those that lead from it to a root
//	    SignerInfo      version 1, SHA-256, SHA-384 or SHA-512, with RSA (PKCS #1 v1.5), ECDSA or Ed25519
//	      signed attributes: content-type, message-digest, signing-certificate (RFC 5035 or RFC 2634), and perhaps others
//
// The certificate has the one extended key usage timeStamping, which is critical, and was valid at the time in the token:
// that it has expired since is no harm, and why the whole chain is in the token. Whether it was ever revoked is not looked
// up, because no answer to that would last.
//
// The package leans on CMS and X.509, and so on what a browser cannot load in reasonable time: no other package of verify imports
// it. Who has it hands Roots.Check in.
package timestamp
