/**
 * Removes secrets from a line of JSON, at any depth: private keys, bearer tokens, JWTs, fields by name.
 *
 * In: one line. Out: the same line, still JSON. Certificates and requests are not secrets and stay.
 */
const SECRET = "[secret]";

const FIELDS = /"(token|authorization|password|privateKey|clientKey)":"(?:[^"\\]|\\.)*"/gi;
/** In JSON a line end is `\n`; in JSON within JSON it has more backslashes. A truncated key matches too. */
const PEM_KEY =
  /-----BEGIN [A-Z ]*PRIVATE KEY-----(?:[A-Za-z0-9+/=\s]|\\+[nrt])*(?:-----END [A-Z ]*PRIVATE KEY-----)?/g;
/** The same in base64, as in a Secret: `-----BEGIN ` and then PRIVATE, EC PRIVATE or RSA PRIVATE. */
const BASE64_KEY = /LS0tLS1CRUdJTi(?:BQUklWQVRF|BFQyBQUklW|BSU0EgUFJJ)[A-Za-z0-9+/=]*/g;
const JWT = /\beyJ[\w-]{5,}\.[\w-]+\.[\w-]*/g;
const HEADER = /\b(Bearer|Basic) [^\s"\\]+/gi;

/** Replaces each secret by "[secret]". `line` is JSON and stays JSON. */
export function scrub(line: string): string {
  return line
    .replace(FIELDS, `"$1":"${SECRET}"`)
    .replace(PEM_KEY, SECRET)
    .replace(BASE64_KEY, SECRET)
    .replace(JWT, SECRET)
    .replace(HEADER, `$1 ${SECRET}`);
}
