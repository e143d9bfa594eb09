// Package crypto owns a country's keys and what is done with them: signing (JWS), the wrapping of the node's master key, and
// password hashes. It knows neither network nor database nor policy: randomness comes in, bytes and signers go out, and private
// key material leaves the package only sealed.
//
// Signatures are Ed25519 (RFC 8032) in JWS form (RFC 7515, RFC 8037); keys are named by their RFC 7638 thumbprint. Secrets are
// stretched with argon2id (RFC 9106), derived with HKDF-SHA256 (RFC 5869) and sealed with XChaCha20-Poly1305.
package crypto
