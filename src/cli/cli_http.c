/* libcurl knows proxies, TLS and names; what must not happen with a credential is decided here. */
#include "cli/cli_http.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <curl/curl.h>

#include "base/err.h"

struct cli_http {
	CURL *curl;		     /* owned */
	char base[URL_TEXT_MAX];     /* "https://host:port" */
	struct cli_http_way way;     /* what it names is borrowed */
	char words[CURL_ERROR_SIZE]; /* libcurl's, about the last failure */
	uint8_t sha256[KEY_PIN_LEN]; /* of the key that the server showed */
	bool has_key;
};

int cli_http_new(const struct url *server, const struct cli_http_way *way, struct cli_http **out)
{
	struct cli_http *h = calloc(1, sizeof *h);
	char authority[HOSTNAME_AUTHORITY_MAX + 1];

	if (h == NULL || (h->curl = curl_easy_init()) == NULL) {
		free(h);
		return ERR_NOMEM;
	}
	url_format_authority(server, authority);
	str_printf(h->base, sizeof h->base, "%s://%s", url_is_tls(server) ? "https" : "http",
		   authority);
	h->way = *way;
	*out = h;
	return 0;
}

void cli_http_free(struct cli_http *h)
{
	if (h == NULL)
		return;
	curl_easy_cleanup(h->curl);
	free(h);
}

/* libcurl brings a piece of the body; taking less than all of it breaks the transfer off. */
static size_t cli_http_on_body(char *data, size_t size, size_t n, void *arg)
{
	struct cli_http_answer *answer = arg;

	return buf_add(&answer->body, data, size * n, CLI_HTTP_BODY_MAX) == 0 ? size * n : 0;
}

/*
 * libcurl says which key it has met only to who listens to all that it says; so we listen, and keep
 * that.
 */
static int cli_http_on_words(CURL *curl, curl_infotype type, char *data, size_t size, void *arg)
{
	static const struct str head = {"public key hash: ", 17};
	struct cli_http *h = arg;
	const char *at = type == CURLINFO_TEXT ? memmem(data, size, head.p, head.len) : NULL;

	if (at != NULL) {
		struct str rest = {at + head.len, size - (size_t)(at - data) - head.len};

		rest.len = MIN(str_find(rest, '\n'), str_find(rest, ' '));
		h->has_key = key_pin_parse(rest, h->sha256) == 0;
	}
	return 0;
}

/* ---- the request ---- */

/* Append one line to the fields. Returns 0 or ERR_NOMEM. */
static int cli_http_field(struct curl_slist **fields, const char *name, const char *value)
{
	struct curl_slist *longer;
	struct buf line = {0};
	int e = buf_printf(&line, 4096, "%s: %s", name, value);

	if (e == 0 && (e = buf_add(&line, "", 1, 4097)) == 0) {
		longer = curl_slist_append(*fields, buf_str(&line).p);
		if (longer == NULL)
			e = ERR_NOMEM;
		else
			*fields = longer;
		explicit_bzero(line.mem, line.size);
	}
	buf_free(&line);
	return e;
}

static int cli_http_fields(const struct cli_http_request *r, struct curl_slist **fields)
{
	char bearer[1024];
	int e = cli_http_field(fields, "Accept", "application/json");

	if (e == 0 && r->token != NULL) {
		str_printf(bearer, sizeof bearer, "Bearer %s", r->token);
		e = cli_http_field(fields, "Authorization", bearer);
		explicit_bzero(bearer, sizeof bearer);
	}
	if (e == 0 && r->if_match != NULL)
		e = cli_http_field(fields, "If-Match", r->if_match);
	if (e == 0 && r->body.p != NULL)
		e = cli_http_field(fields, "Content-Type", "application/json");
	return e;
}

/* Set one option unless an earlier one has failed. */
#define SET(option, value)                                                \
	do {                                                              \
		if (c == CURLE_OK)                                        \
			c = curl_easy_setopt(h->curl, (option), (value)); \
	} while (0)

/* Who may be at the other end, and who we are. */
static CURLcode cli_http_trust(struct cli_http *h, bool anonymous)
{
	char pins[KEY_PINS_CURL];
	CURLcode c = CURLE_OK;

	if (h->way.ca != NULL) {
		SET(CURLOPT_CAINFO, h->way.ca);
		SET(CURLOPT_CAPATH, NULL);
	}
	if (h->way.pins != NULL && h->way.pins->n > 0) {
		key_pins_format_curl(h->way.pins, pins);
		SET(CURLOPT_PINNEDPUBLICKEY, pins);
		SET(CURLOPT_SSL_VERIFYPEER, 0L);
		SET(CURLOPT_SSL_VERIFYHOST, 0L);
		SET(CURLOPT_DEBUGFUNCTION, cli_http_on_words);
		SET(CURLOPT_DEBUGDATA, h);
		SET(CURLOPT_VERBOSE, 1L);
	}
	if (h->way.cert != NULL && !anonymous) {
		SET(CURLOPT_SSLCERT, h->way.cert);
		SET(CURLOPT_SSLKEY, h->way.key);
		SET(CURLOPT_KEYPASSWD, ""); /* never ask on a terminal */
	}
	return c;
}

/* Through a proxy, or none; CONNECT also for http, so that a proxy that lets agents through lets
 * commands through. */
static CURLcode cli_http_proxy(struct cli_http *h)
{
	const struct http_proxy *p = h->way.proxy;
	char url[HTTP_PROXY_TEXT + 8];
	CURLcode c = CURLE_OK;

	SET(CURLOPT_NOPROXY, ""); /* nor what a variable says */
	if (p == NULL) {
		SET(CURLOPT_PROXY, "");
		return c;
	}
	/* the port always: without one libcurl takes 1080 */
	str_printf(url, sizeof url, "%s://%s%s%s:%u", url_is_tls(&p->url) ? "https" : "http",
		   p->url.kind == HOSTNAME_IPV6 ? "[" : "", p->url.host,
		   p->url.kind == HOSTNAME_IPV6 ? "]" : "", p->url.port);
	SET(CURLOPT_PROXY, url);
	SET(CURLOPT_HTTPPROXYTUNNEL, 1L);
	SET(CURLOPT_PROXY_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (h->way.proxy_ca != NULL) {
		SET(CURLOPT_PROXY_CAINFO, h->way.proxy_ca);
		SET(CURLOPT_PROXY_CAPATH, NULL);
	}
	if (p->login) {
		SET(CURLOPT_PROXYAUTH, (long)CURLAUTH_BASIC);
		SET(CURLOPT_PROXYUSERNAME, p->user);
		SET(CURLOPT_PROXYPASSWORD, p->password);
	}
	return c;
}

/* Everything but the fields. Returns 0 or ERR_NOMEM. */
static int cli_http_prepare(struct cli_http *h, const struct cli_http_request *r, const char *url,
			    struct cli_http_answer *out)
{
	CURLcode c = CURLE_OK;

	curl_easy_reset(h->curl); /* connections stay open */
	h->words[0] = '\0';
	h->has_key = false;
	SET(CURLOPT_ERRORBUFFER, h->words);
	SET(CURLOPT_URL, url);
	if (h->way.socket != NULL)
		SET(CURLOPT_UNIX_SOCKET_PATH, h->way.socket);
	SET(CURLOPT_PATH_AS_IS, 1L);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
	SET(CURLOPT_HEADEROPT, (long)CURLHEADER_SEPARATE); /* a proxy sees no credential of ours */
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)CLI_HTTP_CONNECT_MS);
	SET(CURLOPT_TIMEOUT_MS, (long)CLI_HTTP_TOTAL_MS);
	SET(CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	SET(CURLOPT_USERAGENT, "karez/" KAREZ_VERSION);
	SET(CURLOPT_WRITEFUNCTION, cli_http_on_body);
	SET(CURLOPT_WRITEDATA, out);
	SET(CURLOPT_MAXFILESIZE, (long)CLI_HTTP_BODY_MAX);
	if (c == CURLE_OK)
		c = cli_http_trust(h, r->anonymous);
	if (c == CURLE_OK)
		c = cli_http_proxy(h);
	if (r->body.p != NULL) {
		SET(CURLOPT_POSTFIELDS, r->body.p);
		SET(CURLOPT_POSTFIELDSIZE, (long)r->body.len);
	} else if (strcmp(r->method, "POST") == 0) {
		SET(CURLOPT_POSTFIELDS, "");
		SET(CURLOPT_POSTFIELDSIZE, 0L);
	}
	SET(CURLOPT_CUSTOMREQUEST, r->method);
	return c == CURLE_OK ? 0 : ERR_NOMEM;
}

static int cli_http_error(CURLcode c)
{
	switch (c) {
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY: return ERR_RESOLVE;
	case CURLE_COULDNT_CONNECT: return ERR_REFUSED;
	case CURLE_OPERATION_TIMEDOUT: return ERR_TIMEOUT;
	case CURLE_OUT_OF_MEMORY: return ERR_NOMEM;
	case CURLE_FILESIZE_EXCEEDED:
	case CURLE_WRITE_ERROR: return ERR_TOOBIG;
	case CURLE_SSL_CACERT_BADFILE:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
	case CURLE_PEER_FAILED_VERIFICATION: return ERR_CERT;
	case CURLE_SSL_CONNECT_ERROR: return ERR_TLS;
	case CURLE_SSL_CERTPROBLEM: return ERR_INVAL;
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_GOT_NOTHING: return ERR_PROTO;
	default: return ERR_IO;
	}
}

const char *cli_http_refusal(const char *words)
{
	static const char *const alerts[] = {"bad certificate",	    "unsupported certificate",
					     "certificate revoked", "certificate expired",
					     "certificate unknown", "unknown CA",
					     "access denied"};
	const char *at = strstr(words, " alert ");

	for (size_t i = 0; i < ARRAY_LEN(alerts) && at != NULL; i++)
		if (strncasecmp(at + strlen(" alert "), alerts[i], strlen(alerts[i])) == 0)
			return alerts[i];
	return NULL;
}

/* A proxy that will not: libcurl's words do not name it, and know nothing of --proxy. */
static bool cli_http_proxy_failed(struct cli_http *h, CURLcode c, struct cli_http_answer *out,
				  const char *words)
{
	char name[HTTP_PROXY_TEXT];
	long status = 0;

	if (h->way.proxy == NULL)
		return false;
	(void)curl_easy_getinfo(h->curl, CURLINFO_HTTP_CONNECTCODE, &status);
	http_proxy_format(h->way.proxy, name);
	if (status == 407 && !h->way.proxy->login)
		str_printf(out->why, sizeof out->why,
			   "the proxy %s wants a user name and password: give --proxy "
			   "%.*s://user:password@%s",
			   name, (int)str_find(str_of(name), ':'), name,
			   strstr(name, "://") + strlen("://"));
	else if (status == 407 || status == 401)
		str_printf(out->why, sizeof out->why,
			   "the proxy %s does not accept the user name and password that it was "
			   "given",
			   name);
	else if (status >= 300 && c == CURLE_RECV_ERROR)
		str_printf(out->why, sizeof out->why,
			   "the proxy %s does not let us through: it says %ld", name, status);
	else if (status / 100 != 2)
		str_printf(out->why, sizeof out->why, "by way of the proxy %s: %s", name, words);
	else
		return false;
	return true;
}

/* Say why there is no answer. Returns the error. */
static int cli_http_failed(struct cli_http *h, CURLcode c, struct cli_http_answer *out)
{
	const char *words = h->words[0] != '\0' ? h->words : curl_easy_strerror(c);
	const char *refusal = h->way.cert != NULL ? cli_http_refusal(words) : NULL;
	char key[KEY_PIN_TEXT];
	int e = cli_http_error(c);

	if (refusal != NULL) {
		str_printf(out->why, sizeof out->why, "it refuses the certificate in %s: %s",
			   h->way.cert, refusal);
		return ERR_CERT;
	}
	if (c == CURLE_SSL_PINNEDPUBKEYNOTMATCH && h->has_key) {
		key_pin_format(h->sha256, key);
		str_printf(out->why, sizeof out->why, KEY_PIN_MISMATCH, key);
		return e;
	}
	if (cli_http_proxy_failed(h, c, out, words))
		return e;
	str_printf(out->why, sizeof out->why, "%s%s",
		   e == ERR_TOOBIG ? "the answer is too long" : words,
		   c == CURLE_PEER_FAILED_VERIFICATION ? KEY_PIN_HINT : "");
	return e;
}

int cli_http_do(struct cli_http *h, const struct cli_http_request *r, struct cli_http_answer *out)
{
	char url[URL_TEXT_MAX + CLI_HTTP_PATH_TEXT];
	struct curl_slist *fields = NULL;
	struct curl_header *etag;
	CURLcode c;
	long status = 0;
	int e;

	str_printf(url, sizeof url, "%s%s", h->base, r->path);
	if ((e = cli_http_fields(r, &fields)) != 0 || (e = cli_http_prepare(h, r, url, out)) != 0)
		goto out;
	if (curl_easy_setopt(h->curl, CURLOPT_HTTPHEADER, fields) != CURLE_OK) {
		e = ERR_NOMEM;
		goto out;
	}
	c = curl_easy_perform(h->curl);
	if (c != CURLE_OK) {
		e = cli_http_failed(h, c, out);
		goto out;
	}
	(void)curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
	out->status = (unsigned)status;
	if (curl_easy_header(h->curl, "ETag", 0, CURLH_HEADER, -1, &etag) == CURLHE_OK &&
	    str_copy(out->etag, sizeof out->etag, str_of(etag->value)) != 0)
		out->etag[0] = '\0';
out:
	if (e != 0 && out->why[0] == '\0')
		str_printf(out->why, sizeof out->why, "%s", err_text(e));
	curl_slist_free_all(fields);
	return e;
}

/* ---- paths ---- */

static bool cli_http_unreserved(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '-' || c == '_' || c == '~' || c == '.';
}

int cli_http_path(char out[CLI_HTTP_PATH_TEXT], const char *pattern, ...)
{
	struct buf b = {0};
	va_list ap;
	int e = 0;

	va_start(ap, pattern);
	for (; *pattern != '\0' && e == 0; pattern++) {
		const char *s;

		if (*pattern != '%') {
			e = buf_add(&b, pattern, 1, CLI_HTTP_PATH_TEXT);
			continue;
		}
		for (s = va_arg(ap, const char *); *s != '\0' && e == 0; s++)
			e = cli_http_unreserved(*s) ? buf_add(&b, s, 1, CLI_HTTP_PATH_TEXT)
						    : buf_printf(&b, CLI_HTTP_PATH_TEXT, "%%%02X",
								 (unsigned char)*s);
	}
	va_end(ap);
	if (e == 0)
		e = str_copy(out, CLI_HTTP_PATH_TEXT, buf_str(&b));
	buf_free(&b);
	return e;
}
