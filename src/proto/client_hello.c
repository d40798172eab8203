/*
 * Whom a visitor wants is in the first message of its TLS, in clear, and most of those connections
 * are not ours to decrypt. The message is walked where it lies, over the headers of any records it
 * is cut into: nothing is copied together, and nothing is kept between two looks at it.
 */
#include "proto/client_hello.h"

#include <string.h>

#include "base/err.h"
#include "proto/cidr.h"

enum {
	HELLO_RECORD_HANDSHAKE = 22,
	HELLO_RECORD_ALERT = 21,
	HELLO_RECORD_HEAD = 5,	      /* type, version, length */
	HELLO_RECORD_MAX = 16 * 1024, /* bytes of a record's content (RFC 8446 5.1) */
	HELLO_TYPE = 1,		      /* client_hello (RFC 8446 4) */
	HELLO_MESSAGE_HEAD = 4,	      /* type, length */
	/* The shortest: version, random, no session, one cipher suite, one compression. */
	HELLO_BODY_MIN = 2 + 32 + 1 + 2 + 2 + 1 + 1,

	HELLO_SERVER_NAME = 0,
	HELLO_ALPN = 16,
	HELLO_HOST_NAME = 0, /* the one type of name (RFC 6066 3) */
};

/* A walk along the message. */
struct hello {
	struct str in;	/* raw bytes not looked at yet */
	size_t walked;	/* raw bytes before them */
	size_t record;	/* bytes of the record that are still to come */
	size_t at, end; /* in the message: where we are, and where the innermost frame ends */
	size_t whole;	/* bytes of the message; the fewest possible until its length is known */
	bool measured;	/* its length is known */
};

/* Can it end in time? A lower bound: later records have headers of their own. */
static bool hello_fits(const struct hello *h, size_t headers)
{
	return h->walked + headers + (h->whole - h->at) <= CLIENT_HELLO_MAX;
}

/* The header of the next record. */
static int hello_enter(struct hello *h)
{
	static const struct {
		uint8_t lo, hi;
	} bounds[HELLO_RECORD_HEAD] = {
		{HELLO_RECORD_HANDSHAKE, HELLO_RECORD_HANDSHAKE},
		{3, 3}, /* SSL 3.0 to TLS 1.3; the second byte means nothing (RFC 8446 5.1) */
		{0, 4},
		{0, HELLO_RECORD_MAX >> 8},
		{0, 255},
	};
	const uint8_t *p = (const uint8_t *)h->in.p;
	size_t len;

	if (!hello_fits(h, HELLO_RECORD_HEAD))
		return ERR_TOOBIG;
	for (size_t i = 0; i < HELLO_RECORD_HEAD; i++) {
		if (i == h->in.len)
			return ERR_AGAIN;
		if (p[i] < bounds[i].lo || p[i] > bounds[i].hi)
			return ERR_PROTO;
	}
	len = (size_t)p[3] << 8 | p[4];
	/* Keys may change behind a ClientHello, so it ends where a record ends (RFC 8446 5.1). */
	if (len == 0 || len > HELLO_RECORD_MAX || (h->measured && len > h->whole - h->at))
		return ERR_PROTO;
	h->in = (struct str){h->in.p + HELLO_RECORD_HEAD, h->in.len - HELLO_RECORD_HEAD};
	h->walked += HELLO_RECORD_HEAD;
	h->record = len;
	return 0;
}

/* The next bytes of the message that lie together: at least one, at most `max`. */
static int hello_run(struct hello *h, size_t max, struct str *out)
{
	int e;

	if (h->record == 0 && (e = hello_enter(h)) != 0)
		return e;
	*out = (struct str){h->in.p, MIN(MIN(max, h->record), h->in.len)};
	if (out->len == 0)
		return ERR_AGAIN;
	h->in = (struct str){h->in.p + out->len, h->in.len - out->len};
	h->walked += out->len;
	h->record -= out->len;
	h->at += out->len;
	return 0;
}

static int hello_skip(struct hello *h, size_t n)
{
	struct str run;
	int e = 0;

	if (n > h->end - h->at)
		return ERR_PROTO;
	for (; n > 0 && (e = hello_run(h, n, &run)) == 0; n -= run.len)
		;
	return e;
}

/*
 * Bytes of the frame.
 *   *got  set to how many are there; n on success.
 */
static int hello_copy(struct hello *h, size_t n, void *to, size_t *got)
{
	struct str run;
	int e = 0;

	*got = 0;
	if (n > h->end - h->at)
		return ERR_PROTO;
	for (; *got < n && (e = hello_run(h, n - *got, &run)) == 0; *got += run.len)
		memcpy((char *)to + *got, run.p, run.len);
	return e;
}

/* A number of `bytes` bytes, refused by the first of them that puts it outside of lo..hi. */
static int hello_number(struct hello *h, unsigned bytes, size_t lo, size_t hi, size_t *out)
{
	struct str run;
	size_t n = 0;
	int e;

	if (bytes > h->end - h->at)
		return ERR_PROTO;
	while (bytes-- > 0) {
		if ((e = hello_run(h, 1, &run)) != 0)
			return e;
		n = n << 8 | (uint8_t)run.p[0];
		if (n << 8 * bytes > hi || ((n + 1) << 8 * bytes) - 1 < lo)
			return ERR_PROTO;
	}
	*out = n;
	return 0;
}

/*
 * The length of a vector, a number of `bytes` bytes: it is the frame until hello_close().
 *   lo, hi  what its type allows; what is left of the frame is a bound, too.
 *   *outer  set to where that frame ends.
 */
static int hello_open(struct hello *h, unsigned bytes, size_t lo, size_t hi, size_t *outer)
{
	size_t room = h->end - h->at, len;
	int e;

	if (room < bytes || room - bytes < lo)
		return ERR_PROTO;
	if ((e = hello_number(h, bytes, lo, MIN(hi, room - bytes), &len)) != 0)
		return e;
	*outer = h->end;
	h->end = h->at + len;
	return 0;
}

/* The vector must have been used up. */
static int hello_close(struct hello *h, size_t outer)
{
	if (h->at != h->end)
		return ERR_PROTO;
	h->end = outer;
	return 0;
}

/* A vector of things of `each` bytes that we do not look at. */
static int hello_pass(struct hello *h, unsigned bytes, size_t lo, size_t hi, size_t each)
{
	size_t outer;
	int e;

	if ((e = hello_open(h, bytes, lo, hi, &outer)) != 0)
		return e;
	if ((h->end - h->at) % each != 0)
		return ERR_PROTO;
	if ((e = hello_skip(h, h->end - h->at)) != 0)
		return e;
	return hello_close(h, outer);
}

/* ---- extensions ---- */

/* What may still become the name of a host when more comes. */
static bool hello_name_begins(const char *name, size_t len)
{
	char longer[HOSTNAME_MAX + 2];

	memcpy(longer, name, len);
	longer[len] = 'a';
	return hostname_resolvable((struct str){longer, len}) ||
	       hostname_resolvable((struct str){longer, len + 1});
}

/* The same for an IPv6 address; an IPv4 address begins as a name does. */
static bool hello_address_begins(const char *name, size_t len)
{
	struct str s = {name, len};

	if (str_find(s, '.') < str_find(s, ':'))
		return false;
	for (size_t i = 0; i < len; i++) {
		char c = ascii_lower(name[i]);

		if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f') && c != ':' && c != '.')
			return false;
	}
	return true;
}

/*
 * The frame is a HostName. Clients send addresses although "literal IPv4 and IPv6 addresses are not
 * permitted" (RFC 6066 3): that is no name, so none was sent.
 */
static int hello_host(struct hello *h, struct client_hello *out)
{
	size_t len = h->end - h->at, got;
	char name[HOSTNAME_MAX + 1]; /* with a dot at the end */
	uint8_t ip[16];
	bool may_be;
	int e;

	if (len > sizeof name)
		return ERR_PROTO;
	if ((e = hello_copy(h, len, name, &got)) != 0) {
		may_be = hello_name_begins(name, got) ||
			 (len < CIDR_IP_TEXT_MAX && hello_address_begins(name, got));
		return e == ERR_AGAIN && !may_be ? ERR_PROTO : e;
	}
	if (cidr_ip_parse((struct str){name, len}, ip) == 0)
		return 0;
	if (name[len - 1] == '.')
		len--;
	if (!hostname_resolvable((struct str){name, len}))
		return ERR_PROTO;
	for (size_t i = 0; i < len; i++)
		out->sni[i] = ascii_lower(name[i]);
	out->sni[len] = '\0';
	return 0;
}

/* The frame is a server_name extension: one host name; names of types to come are skipped. Source:
 * RFC 6066 3. */
static int hello_names(struct hello *h, struct client_hello *out)
{
	size_t outer, list, type;
	bool named = false;
	int e;

	if ((e = hello_open(h, 2, 1, SIZE_MAX, &list)) != 0)
		return e;
	while (h->at < h->end) {
		if ((e = hello_number(h, 1, 0, UINT8_MAX, &type)) != 0 ||
		    (e = hello_open(h, 2, 1, SIZE_MAX, &outer)) != 0)
			return e;
		if (type != HELLO_HOST_NAME)
			e = hello_skip(h, h->end - h->at);
		else if (named)
			e = ERR_PROTO; /* "MUST NOT contain more than one name of the same type" */
		else
			e = hello_host(h, out);
		named = named || type == HELLO_HOST_NAME;
		if (e != 0 || (e = hello_close(h, outer)) != 0)
			return e;
	}
	return hello_close(h, list);
}

/* The frame is an ALPN extension. Source: RFC 7301 3.1. */
static int hello_alpn(struct hello *h, struct client_hello *out)
{
	size_t list, len, n = 0, name, got;
	bool keep;
	int e;

	if ((e = hello_open(h, 2, 2, SIZE_MAX, &list)) != 0)
		return e;
	len = h->end - h->at;
	keep = len <= sizeof out->alpn;
	while (h->at < h->end) {
		if ((e = hello_number(h, 1, 1, MIN(h->end - h->at - 1, (size_t)UINT8_MAX),
				      &name)) != 0)
			return e;
		if (keep) {
			out->alpn[n++] = (uint8_t)name;
			e = hello_copy(h, name, out->alpn + n, &got);
			n += name;
		} else {
			e = hello_skip(h, name);
		}
		if (e != 0)
			return e;
	}
	out->alpn_len = n;
	return hello_close(h, list);
}

/* The frame is the list of extensions. */
static int hello_extensions(struct hello *h, struct client_hello *out)
{
	uint64_t seen[(UINT16_MAX + 1) / 64] = {0};
	size_t type, outer;
	int e;

	while (h->at < h->end) {
		if ((e = hello_number(h, 2, 0, UINT16_MAX, &type)) != 0)
			return e;
		if (seen[type / 64] >> type % 64 & 1)
			return ERR_PROTO; /* which one would count? (RFC 8446 4.2) */
		seen[type / 64] |= UINT64_C(1) << type % 64;
		if ((e = hello_open(h, 2, 0, SIZE_MAX, &outer)) != 0)
			return e;
		if (type == HELLO_SERVER_NAME)
			e = hello_names(h, out);
		else if (type == HELLO_ALPN)
			e = hello_alpn(h, out);
		else
			e = hello_skip(h, h->end - h->at);
		if (e != 0 || (e = hello_close(h, outer)) != 0)
			return e;
	}
	return 0;
}

/* ---- the message ---- */

/* Its type and its length. */
static int hello_measure(struct hello *h)
{
	size_t n;
	int e;

	if ((e = hello_number(h, 1, HELLO_TYPE, HELLO_TYPE, &n)) != 0 ||
	    (e = hello_number(h, 3, HELLO_BODY_MIN, SIZE_MAX, &n)) != 0)
		return e;
	h->measured = true;
	h->end = h->whole = h->at + n;
	if (h->record > n)
		return ERR_PROTO;
	return hello_fits(h, h->record < n ? HELLO_RECORD_HEAD : 0) ? 0 : ERR_TOOBIG;
}

/* What stands before the extensions: version, random, session, cipher suites, compressions. */
static int hello_basics(struct hello *h)
{
	size_t major;
	int e;

	if ((e = hello_number(h, 1, 3, 3, &major)) != 0 || (e = hello_skip(h, 1 + 32)) != 0 ||
	    (e = hello_pass(h, 1, 0, 32, 1)) != 0 || (e = hello_pass(h, 2, 2, SIZE_MAX, 2)) != 0)
		return e;
	return hello_pass(h, 1, 1, SIZE_MAX, 1);
}

static struct hello hello_on(struct str in)
{
	return (struct hello){
		.in = in,
		.end = HELLO_MESSAGE_HEAD,
		.whole = HELLO_MESSAGE_HEAD + HELLO_BODY_MIN,
	};
}

static int hello_walk(struct hello *h, struct client_hello *out)
{
	size_t outer, room;
	int e;

	if ((e = hello_measure(h)) != 0 || (e = hello_basics(h)) != 0)
		return e;
	if ((room = h->end - h->at) == 0) /* one of TLS 1.2 may have none (RFC 5246 7.4.1.2) */
		return 0;
	if (room < 2)
		return ERR_PROTO;
	if ((e = hello_open(h, 2, room - 2, SIZE_MAX, &outer)) != 0)
		return e;
	return hello_extensions(h, out);
}

int client_hello_parse(struct str in, struct client_hello *out)
{
	struct hello h = hello_on(in);
	struct client_hello found = {.alpn_len = 0};
	int e;

	if ((e = hello_walk(&h, &found)) == 0)
		*out = found;
	return e;
}

size_t client_hello_least(struct str in)
{
	struct hello h = hello_on(in);
	struct client_hello found = {.alpn_len = 0};
	size_t more, least;

	if (hello_walk(&h, &found) != ERR_AGAIN || !h.measured)
		return in.len + 1;
	more = h.whole - h.at;
	least = h.walked + more + (h.record < more ? HELLO_RECORD_HEAD : 0);
	return MIN(least,
		   (size_t)CLIENT_HELLO_MAX); /* then it is told that it cannot end in time */
}

void client_hello_refuse(enum client_hello_alert alert, uint8_t out[CLIENT_HELLO_ALERT])
{
	const uint8_t record[CLIENT_HELLO_ALERT] = {HELLO_RECORD_ALERT, 3, 3, 0, 2, 2 /* fatal */,
						    (uint8_t)alert};

	memcpy(out, record, sizeof record);
}
