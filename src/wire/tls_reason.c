/*
 * What went wrong with TLS, in words that tell a person what to do.
 *
 * OpenSSL's own texts name its functions and files; these name the certificate, the host and the
 * peer.
 */
#include "wire/tls_inside.h"

#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "base/show.h"
#include "proto/time_text.h"

/* Names of a certificate that are told, at most: the certificate may hold thousands. */
#define NAMES_TOLD 3

/* OpenSSL numbers a received alert so: this plus the alert's number. */
#define ALERT_BASE SSL_AD_REASON_OFFSET

/* For quotes around it. */
static void tls_reason_name(struct str name, char out[TLS_REASON_NAME])
{
	show_ascii(out, TLS_REASON_NAME, name);
	for (char *p = out; *p != '\0'; p++)
		if (*p == '"')
			*p = '?';
}

/* A common name; empty when there is none. */
static void tls_reason_common_name(const X509_NAME *name, char out[TLS_REASON_NAME])
{
	int at = name == NULL ? -1 : X509_NAME_get_index_by_NID(name, NID_commonName, -1);
	const ASN1_STRING *text;

	out[0] = '\0';
	if (at < 0)
		return;
	text = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at));
	tls_reason_name((struct str){(const char *)ASN1_STRING_get0_data(text),
				     (size_t)ASN1_STRING_length(text)},
			out);
}

static size_t tls_reason_ip(char *out, size_t cap, struct str ip)
{
	const uint8_t *b = (const uint8_t *)ip.p;
	size_t n = 0;

	if (ip.len == 4)
		return str_printf(out, cap, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
	for (size_t i = 0; i + 1 < ip.len && ip.len == 16; i += 2)
		n += str_printf(out + n, cap - n, "%s%x", i == 0 ? "" : ":", b[i] * 256 + b[i + 1]);
	return n;
}

/* "a.example, b.example and others"; empty when the certificate names nobody. cap: TLS_REASON_NAME
 * at least. */
static void tls_reason_names(X509 *cert, char *out, size_t cap)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int told = 0, count = names == NULL ? 0 : sk_GENERAL_NAME_num(names);
	size_t n = 0;

	out[0] = 0;
	for (int i = 0; i < count; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		const ASN1_STRING *text = name->d.ia5;
		struct str s;

		if (name->type != GEN_DNS && name->type != GEN_IPADD)
			continue;
		if (told == NAMES_TOLD) {
			str_printf(out + n, cap - n, " and others");
			break;
		}
		s = (struct str){(const char *)ASN1_STRING_get0_data(text),
				 (size_t)ASN1_STRING_length(text)};
		if (told++ > 0)
			n += str_printf(out + n, cap - n, ", ");
		if (name->type == GEN_DNS)
			n += show_ascii(out + n, MIN(cap - n, (size_t)70), s);
		else
			n += tls_reason_ip(out + n, cap - n, s);
	}
	GENERAL_NAMES_free(names);
	if (told == 0)
		tls_reason_common_name(X509_get_subject_name(cert), out);
}

static void tls_reason_mismatch(X509 *cert, const char *host, char *out)
{
	char names[TLS_REASON - 80];

	tls_reason_names(cert, names, sizeof names);
	str_printf(out, TLS_REASON, "certificate is for %s, not %s",
		   names[0] == 0 ? "nobody" : names, host == NULL ? "this host" : host);
}

/* Bytes of "2026-11-21", NUL included. */
#define DAY_TEXT 11

static void tls_reason_day(const ASN1_TIME *t, char out[DAY_TEXT])
{
	char text[TIME_TEXT];

	time_text_format(tls_peer_time_ms(t), text);
	str_printf(out, DAY_TEXT, "%s", text);
}

void tls_reason_subject(X509 *cert, char *out)
{
	char *name = tls_peer_read_name(cert);

	if (name != NULL && name[0] != '\0')
		tls_reason_name(str_of(name), out);
	else
		tls_reason_common_name(X509_get_subject_name(cert), out);
	free(name);
}

static void tls_reason_unknown(X509 *cert, bool ours, char *out)
{
	char issuer[TLS_REASON_NAME];

	tls_reason_common_name(X509_get_issuer_name(cert), issuer);
	str_printf(out, TLS_REASON, "certificate is signed by an unknown authority%s%s%s%s",
		   issuer[0] == 0 ? "" : " (", issuer, issuer[0] == 0 ? "" : ")",
		   ours ? ", which --agent-ca does not hold" : "");
}

/* "certificate", or "certificate of the authority X": who is at fault? */
static size_t tls_reason_whose(X509_STORE_CTX *store, X509 *cert, char *out)
{
	char name[TLS_REASON_NAME];

	if (X509_STORE_CTX_get_error_depth(store) == 0)
		return str_printf(out, TLS_REASON, "certificate ");
	tls_reason_subject(cert, name);
	return str_printf(out, TLS_REASON, "certificate of the authority %s ", name);
}

static void tls_reason_ended(X509_STORE_CTX *store, X509 *cert, bool expired, char *out)
{
	size_t n = tls_reason_whose(store, cert, out);
	char day[DAY_TEXT];

	tls_reason_day(expired ? X509_get0_notAfter(cert) : X509_get0_notBefore(cert), day);
	str_printf(out + n, TLS_REASON - n, expired ? "expired on %s" : "is not valid before %s",
		   day);
}

static void tls_reason_revoked(X509 *cert, char *out)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = number == NULL ? NULL : BN_bn2hex(number);

	str_printf(out, TLS_REASON, "certificate is revoked (serial %.64s)",
		   hex == NULL ? "?" : hex);
	OPENSSL_free(hex);
	BN_free(number);
}

static void tls_reason_crl(X509_STORE_CTX *store, char *out)
{
	X509_CRL *crl = X509_STORE_CTX_get0_current_crl(store);
	char issuer[TLS_REASON_NAME] = "", day[DAY_TEXT] = "?";

	if (crl != NULL) {
		tls_reason_common_name(X509_CRL_get_issuer(crl), issuer);
		tls_reason_day(X509_CRL_get0_nextUpdate(crl), day);
	}
	str_printf(out, TLS_REASON,
		   "the revocation list of %s in --agent-crl was good until %s only: renew it",
		   issuer, day);
}

void tls_reason_keep(char **reason, const char *text)
{
	if (*reason == NULL)
		*reason = str_dup(str_of(text));
}

void tls_reason_cert(X509_STORE_CTX *store, const char *host, bool ours, char *out)
{
	X509 *cert = X509_STORE_CTX_get_current_cert(store);
	int error = X509_STORE_CTX_get_error(store);

	str_printf(out, TLS_REASON, "certificate: %s", X509_verify_cert_error_string(error));
	if (cert == NULL)
		return;
	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED: tls_reason_ended(store, cert, true, out); return;
	case X509_V_ERR_CERT_NOT_YET_VALID: tls_reason_ended(store, cert, false, out); return;
	case X509_V_ERR_CERT_REVOKED: tls_reason_revoked(cert, out); return;
	case X509_V_ERR_CRL_HAS_EXPIRED: tls_reason_crl(store, out); return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH: tls_reason_mismatch(cert, host, out); return;
	case X509_V_ERR_INVALID_PURPOSE:
		str_printf(out, TLS_REASON, "certificate is not made for TLS %s (extendedKeyUsage)",
			   ours ? "clients" : "servers");
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
	case X509_V_ERR_CERT_SIGNATURE_FAILURE: tls_reason_unknown(cert, ours, out); return;
	}
}

void tls_reason_own(X509 *cert, const char *alert, char *out)
{
	char name[TLS_REASON_NAME], issuer[TLS_REASON_NAME], day[DAY_TEXT];

	tls_reason_subject(cert, name);
	tls_reason_common_name(X509_get_issuer_name(cert), issuer);
	tls_reason_day(X509_get0_notAfter(cert), day);
	str_printf(out, TLS_CONTEXT_WHY, "%s: it is for \"%s\", issued by \"%s\", good until %s",
		   alert, name, issuer, day);
}

const char *tls_reason_refusal(void)
{
	unsigned long code = ERR_peek_last_error();
	int alert = ERR_GET_REASON(code) - ALERT_BASE;

	if (ERR_GET_LIB(code) != ERR_LIB_SSL)
		return NULL;
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_CERTIFICATE_REQUIRED:
	case SSL_AD_ACCESS_DENIED: return SSL_alert_desc_string_long(alert);
	default: return NULL;
	}
}

void tls_reason_failure(char *out)
{
	unsigned long code = ERR_peek_last_error();
	int reason = ERR_GET_REASON(code);
	unsigned long first = ERR_peek_error();
	const char *text = ERR_reason_error_string(code);

	if (ERR_GET_REASON(code) == ERR_R_PEM_LIB) /* what it says there is more */
		text = ERR_reason_error_string(first);
	if (ERR_GET_LIB(first) == ERR_LIB_PEM && ERR_GET_REASON(first) == PEM_R_NO_START_LINE)
		text = "there is none in it";
	ERR_clear_error();
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason >= ALERT_BASE && reason < ALERT_BASE + 256) {
		str_printf(out, TLS_REASON, "the peer ended TLS with the alert \"%s\"",
			   SSL_alert_desc_string_long(reason - ALERT_BASE));
		return;
	}
	if (ERR_GET_LIB(code) == ERR_LIB_SSL) {
		switch (reason) {
		case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
			str_printf(out, TLS_REASON, "the peer shows no certificate");
			return;
		case SSL_R_CALLBACK_FAILED: /* tls_set_on_sni() */
			str_printf(out, TLS_REASON,
				   "there is no certificate for the name that the peer wants");
			return;
		case SSL_R_HTTP_REQUEST:
		case SSL_R_HTTPS_PROXY_REQUEST:
			str_printf(out, TLS_REASON, "the peer speaks HTTP without TLS");
			return;
		case SSL_R_WRONG_VERSION_NUMBER:
		case SSL_R_PACKET_LENGTH_TOO_LONG:
		case SSL_R_RECORD_LENGTH_MISMATCH:
			str_printf(out, TLS_REASON, "the peer does not speak TLS");
			return;
		case SSL_R_UNSUPPORTED_PROTOCOL:
			str_printf(out, TLS_REASON, "the peer speaks only TLS older than 1.2");
			return;
		case SSL_R_NO_SHARED_CIPHER:
			str_printf(out, TLS_REASON, "the peer knows none of our ciphers");
			return;
		}
	}
	str_printf(out, TLS_REASON, "TLS: %s", text == NULL ? "unknown failure" : text);
}
