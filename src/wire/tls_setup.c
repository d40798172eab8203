/*
 * One TLS connection before it runs: OpenSSL's object, what it reads from and writes to, and whom a
 * client expects to meet.
 */
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "base/err.h"
#include "wire/tls_inside.h"

static int tls_setup_on_bio_read(BIO *bio, char *to, size_t cap, size_t *n)
{
	struct wire_tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	*n = MIN(cap, t->in.len);
	if (*n == 0) {
		BIO_set_retry_read(bio);
		return 0;
	}
	memcpy(to, t->in.p, *n);
	t->in.p += *n;
	t->in.len -= *n;
	return 1;
}

static int tls_setup_on_bio_write(BIO *bio, const char *data, size_t len, size_t *n)
{
	struct wire_tls *t = BIO_get_data(bio);

	BIO_clear_retry_flags(bio);
	*n = len;
	if (t->lower_shut || t->lower_dead) /* a late key update: nobody can read it any more */
		return 1;
	t->n_records++;
	if (t->out != NULL && len <= EV_SCRATCH - t->out_len) {
		memcpy(t->out + t->out_len, data, len);
		t->out_len += len;
		return 1;
	}
	return t->out == NULL && buf_add(&t->pending, data, len, PENDING_CAP) == 0;
}

static long tls_setup_on_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	return cmd == BIO_CTRL_FLUSH; /* everything is flushed when a call ends */
}

static int tls_setup_bio(struct wire_tls *t)
{
	struct tls_context *ctx = t->ctx;
	BIO *bio;

	if (ctx->bio == NULL) {
		ctx->bio = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "wire");
		if (ctx->bio == NULL)
			return ERR_NOMEM;
		BIO_meth_set_read_ex(ctx->bio, tls_setup_on_bio_read);
		BIO_meth_set_write_ex(ctx->bio, tls_setup_on_bio_write);
		BIO_meth_set_ctrl(ctx->bio, tls_setup_on_bio_ctrl);
	}
	if ((bio = BIO_new(ctx->bio)) == NULL)
		return ERR_NOMEM;
	BIO_set_data(bio, t);
	BIO_set_init(bio, 1);
	SSL_set_bio(t->ssl, bio, bio);
	return 0;
}

int tls_setup_on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct wire_tls *t = SSL_get_app_data(ssl);
	char reason[TLS_REASON];

	if (t->ctx->server)
		ok = tls_peer_judge(ok, store);
	if (ok == 0) {
		tls_reason_cert(store, t->host, t->ctx->server, reason);
		tls_reason_keep(&t->reason, reason);
		if (t->ctx->server)
			tls_setup_log(t, X509_STORE_CTX_get0_cert(store), reason);
	}
	return ok;
}

void tls_setup_log(const struct wire_tls *t, X509 *cert, const char *reason)
{
	char subject[TLS_REASON_NAME] = "";

	if (t->ctx->log == NULL)
		return;
	if (cert != NULL)
		tls_reason_subject(cert, subject);
	log_info(t->ctx->log, "event=certificate-refused peer=%s subject=\"%s\" reason=\"%s\"",
		 t->host == NULL ? "?" : t->host, subject, reason);
}

/* Whom a client expects, and by whose clock certificates are valid. */
static int tls_setup_expect(struct wire_tls *t)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(t->ssl);

	X509_VERIFY_PARAM_set_time(param, (time_t)(ev_wall_ms(t->wire.ev) / 1000));
	if (t->host == NULL)
		return 0;
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	if (X509_VERIFY_PARAM_set1_ip_asc(param, t->host) == 1)
		return 0; /* an address is never sent as SNI: RFC 6066 3 */
	ERR_clear_error();
	if (X509_VERIFY_PARAM_set1_host(param, t->host, 0) != 1 ||
	    SSL_set_tlsext_host_name(t->ssl, t->host) != 1)
		return ERR_INVAL;
	return 0;
}

int tls_setup(struct wire_tls *t, const struct wire_tls_opt *opt)
{
	int e;

	if ((t->ssl = SSL_new(t->set->ssl)) == NULL || (e = tls_setup_bio(t)) != 0)
		return ERR_NOMEM;
	SSL_set_app_data(t->ssl, t);
	if (t->ctx->server) {
		SSL_set_accept_state(t->ssl);
		t->no_alpn = opt->no_alpn;
		if (t->set->asks && t->ctx->log != NULL && opt->peer != NULL &&
		    (t->host = str_dup(str_of(opt->peer))) == NULL)
			return ERR_NOMEM;
		return 0;
	}
	SSL_set_connect_state(t->ssl);
	SSL_set_verify(t->ssl, t->ctx->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
		       tls_setup_on_verify);
	if (opt->host == NULL)
		return t->ctx->insecure || t->ctx->psk != NULL ? 0 : ERR_INVAL;
	if ((t->host = str_dup(str_of(opt->host))) == NULL)
		return ERR_NOMEM;
	return tls_setup_expect(t);
}
