/*
 * By what a server seals the tickets that let a client come back without a certificate being sent
 * and proven once more.
 *
 * Keys of TLS 1.3 follow from a root that several processes may have and from the hour of the wall
 * clock, so each of them takes the tickets of the others, and none has to be told that there are
 * new keys. Whoever learns the root can read no connection by it, for each has an exchange of its
 * own (psk_dhe_ke). A ticket of TLS 1.2 holds the secret of its connection itself: its keys are
 * drawn, stay in this process, and are forgotten when their time is over.
 *
 * A ticket is good for the name that its connection asked for, and for no other. It never stands
 * for a certificate of a client: where one is asked for, none is made and none is taken.
 * Source: RFC 5077 4 (how a ticket is made), 5; RFC 8446 2.2, 4.2.9, 4.6.1, C.4; RFC 6066 3.
 */
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"
#include "wire/tls_inside.h"

/* One key is used for so long; a ticket is good until the next one's time is over. Milliseconds. */
#define TICKET_TURN_MS 3600000

/* What OpenSSL has room for. */
#define TICKET_NAME 16
#define TICKET_IV   16

/* Bytes of a name that a client asks for: OpenSSL refuses one of more than 255. */
#define TICKET_SNI 256

/* One hour's. */
struct tls_ticket_key {
	int64_t hour; /* since 1970 */
	bool there;
	struct tls_ticket_secret {
		uint8_t name[TICKET_NAME]; /* stands before the ticket, in clear */
		uint8_t seal[32];	   /* AES-256-CBC */
		uint8_t mac[32];	   /* HMAC-SHA256 */
	} s;
};

struct tls_ticket {
	uint8_t root[TLS_TICKET_ROOT];
	char label[TLS_TICKET_LABEL];
	/* Of TLS 1.3: this hour's first, the one before, the one after: clocks differ. */
	struct tls_ticket_key shared[3];
	/* Of TLS 1.2: this hour's, the one before. */
	struct tls_ticket_key own[2];
};

int tls_ticket_new(const uint8_t *root, const char *label, struct tls_ticket **out)
{
	struct tls_ticket *tk = calloc(1, sizeof *tk);
	int e = 0;

	if (tk == NULL)
		return ERR_NOMEM;
	if (root == NULL) {
		e = RAND_bytes(tk->root, sizeof tk->root) == 1 ? 0 : ERR_NOMEM;
	} else {
		memcpy(tk->root, root, sizeof tk->root);
		e = str_copy(tk->label, sizeof tk->label, str_of(label)) == 0 ? 0 : ERR_INVAL;
	}
	if (e == 0)
		MOVE(*out, tk);
	tls_ticket_free(tk);
	return e;
}

void tls_ticket_free(struct tls_ticket *tk)
{
	if (tk == NULL)
		return;
	explicit_bzero(tk, sizeof *tk);
	free(tk);
}

/* ---- the hours ---- */

/* All nodes must come to the same: what is written here is what they agree on. */
static int tls_ticket_derive(const struct tls_ticket *tk, int64_t hour, struct tls_ticket_key *out)
{
	char info[TLS_TICKET_LABEL + 64];
	int e;

	if (out->there && out->hour == hour)
		return 0;
	str_printf(info, sizeof info, "karez tls ticket 1 %s %lld", tk->label, (long long)hour);
	e = tls_psk_derive((struct str){(const char *)tk->root, sizeof tk->root}, info, &out->s,
			   sizeof out->s);
	out->there = e == 0;
	out->hour = hour;
	return e;
}

/* Draw this hour's key. The last one stays if it is that of the hour before; older ones, and those
 * of hours that the clock has left again, are gone for good. */
static int tls_ticket_draw(struct tls_ticket *tk, int64_t hour)
{
	struct tls_ticket_key *now = &tk->own[0], *before = &tk->own[1];

	if (now->there && now->hour == hour)
		return 0;
	*before = *now;
	now->there = RAND_bytes((unsigned char *)&now->s, sizeof now->s) == 1;
	now->hour = hour;
	if (!before->there || before->hour != hour - 1)
		explicit_bzero(before, sizeof *before);
	return now->there ? 0 : ERR_NOMEM;
}

static int tls_ticket_turn(struct tls_ticket *tk, struct ev *ev)
{
	int64_t hour = ev_wall_ms(ev) / TICKET_TURN_MS;
	int e = tls_ticket_draw(tk, hour);

	if (e == 0)
		e = tls_ticket_derive(tk, hour, &tk->shared[0]);
	if (e == 0)
		e = tls_ticket_derive(tk, hour - 1, &tk->shared[1]);
	if (e == 0)
		e = tls_ticket_derive(tk, hour + 1, &tk->shared[2]);
	return e;
}

void tls_ticket_look(struct tls_ticket *tk, struct ev *ev)
{
	(void)!tls_ticket_turn(tk, ev); /* the next handshake tries again, and says so */
	ERR_clear_error();
}

/* NULL: none of ours that is still good, or will be at once. */
static const struct tls_ticket_key *tls_ticket_find(const struct tls_ticket *tk, bool is13,
						    const unsigned char *name)
{
	const struct tls_ticket_key *keys = is13 ? tk->shared : tk->own;
	size_t n = is13 ? ARRAY_LEN(tk->shared) : ARRAY_LEN(tk->own);

	for (size_t i = 0; i < n; i++)
		if (keys[i].there && memcmp(keys[i].s.name, name, TICKET_NAME) == 0)
			return &keys[i];
	return NULL;
}

/* ---- the name that a client asks for ---- */

/*
 * In a ClientHello whose extensions OpenSSL has not looked at yet: tickets come first.
 *   *out  set to the name as it was sent; of no bytes when there is none.
 * Returns false where there is something else, which OpenSSL will refuse or not know either.
 * Source: RFC 6066 3.
 */
static bool tls_ticket_read_sni(SSL *ssl, struct str *out)
{
	const unsigned char *p;
	size_t len;

	*out = STR("");
	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) != 1)
		return true;
	if (len < 5 || p[2] != TLSEXT_NAMETYPE_host_name || ((size_t)p[0] << 8 | p[1]) != len - 2 ||
	    ((size_t)p[3] << 8 | p[4]) != len - 5)
		return false;
	*out = (struct str){(const char *)p + 5, len - 5};
	return true;
}

/* Under another name another key is wanted: then the seal of a ticket is not that of its bytes. */
static int tls_ticket_mac(const struct tls_ticket_key *key, struct str sni, EVP_MAC_CTX *mac)
{
	uint8_t lower[TICKET_SNI], bound[32];
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, bound, sizeof bound),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST,
						 (char *)(uintptr_t) "SHA256", 0),
		OSSL_PARAM_construct_end(),
	};
	int e = ERR_TLS;

	if (sni.len > sizeof lower)
		return ERR_TOOBIG;
	for (size_t i = 0; i < sni.len; i++)
		lower[i] = (uint8_t)ascii_lower(sni.p[i]);
	if (HMAC(EVP_sha256(), key->s.mac, sizeof key->s.mac, lower, sni.len, bound, NULL) !=
		    NULL &&
	    EVP_MAC_CTX_set_params(mac, params) == 1)
		e = 0;
	explicit_bzero(bound, sizeof bound);
	return e;
}

/* ---- what OpenSSL asks ---- */

/* What it understands. Source: SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
enum tls_ticket_answer {
	TICKET_FAIL = -1, /* the handshake is over */
	TICKET_NONE = 0,  /* not to be used: a whole handshake, and a new ticket */
	TICKET_USE = 1,
	TICKET_RENEW = 2, /* good, and to be replaced */
};

static enum tls_ticket_answer tls_ticket_seal(const struct tls_ticket *tk, SSL *ssl,
					      unsigned char *name, unsigned char *iv,
					      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	bool is13 = SSL_version(ssl) >= TLS1_3_VERSION;
	const struct tls_ticket_key *key = is13 ? &tk->shared[0] : &tk->own[0];
	const char *sni = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	memcpy(name, key->s.name, TICKET_NAME);
	if (RAND_bytes(iv, TICKET_IV) != 1 ||
	    EVP_EncryptInit_ex2(cipher, EVP_aes_256_cbc(), key->s.seal, iv, NULL) != 1 ||
	    tls_ticket_mac(key, sni == NULL ? STR("") : str_of(sni), mac) != 0)
		return TICKET_FAIL; /* TLS 1.3 has no way to send none so late */
	return TICKET_USE;
}

static enum tls_ticket_answer tls_ticket_open(const struct tls_ticket *tk, SSL *ssl,
					      const unsigned char *name, const unsigned char *iv,
					      EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
	const struct wire_tls *t = SSL_get_app_data(ssl);
	bool is13 = SSL_version(ssl) >= TLS1_3_VERSION;
	const struct tls_ticket_key *key = tls_ticket_find(tk, is13, name);
	struct str sni;

	if (key == NULL || !tls_ticket_read_sni(ssl, &sni) ||
	    tls_peer_asks(t->set, sni.len == 0 ? NULL : &sni) ||
	    tls_ticket_mac(key, sni, mac) != 0 ||
	    EVP_DecryptInit_ex2(cipher, EVP_aes_256_cbc(), key->s.seal, iv, NULL) != 1)
		return TICKET_NONE;
	/* In TLS 1.3 each is for one connection: who watches could recognise it (RFC 8446 C.4). */
	return is13 || key != &tk->own[0] ? TICKET_RENEW : TICKET_USE;
}

static int tls_ticket_on_key(SSL *ssl, unsigned char *name, unsigned char *iv,
			     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int enc)
{
	const struct wire_tls *t = SSL_get_app_data(ssl);
	struct tls_ticket *tk = t->ctx->ticket;

	if (tls_ticket_turn(tk, t->wire.ev) == 0)
		return enc ? tls_ticket_seal(tk, ssl, name, iv, cipher, mac)
			   : tls_ticket_open(tk, ssl, name, iv, cipher, mac);
	ERR_clear_error(); /* the handshake goes on, and its errors count */
	return enc ? TICKET_FAIL : TICKET_NONE;
}

void tls_ticket_use(SSL_CTX *ssl)
{
	SSL_CTX_set_tlsext_ticket_key_evp_cb(ssl, tls_ticket_on_key);
}
