/*
 * Certificates made by ssh-keygen, read; and each of them cut off and lengthened everywhere.
 */
#include "proto/ssh_cert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/err.h"

static const char cert_user[] =
	"AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIJjqvH3GZOkct4hCHIdzwwyiziRILExL"
	"xEecU96+RoH+AAAAIKfV11bcaZ855W1w3kEsBeq+nAZI4CY/7Rw9S+nVIfopAAAAAAAAAAcAAAABAAAACWFu"
	"bmFAZGVzawAAABIAAAAEYW5uYQAAAAZkZXBsb3kAAAAAaVW5AAAAAABrNuyAAAAAAAAAAIIAAAAVcGVybWl0"
	"LVgxMS1mb3J3YXJkaW5nAAAAAAAAABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBv"
	"cnQtZm9yd2FyZGluZwAAAAAAAAAKcGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAA"
	"ADMAAAALc3NoLWVkMjU1MTkAAAAgQ7s7uV0m+UDpjoWc2ylUZy2qTeTSdWywxw+pDw+ZupwAAABTAAAAC3Nz"
	"aC1lZDI1NTE5AAAAQMnmQKeME3WDBnH4kMgl0Lgnt/yn9T35x+YyAoe+WhuEqS30EbiyIRP5ulsjJ6RIxxXD"
	"8BIFolsCyt30o2z0zQE=";
static const char cert_source[] =
	"AAAAKGVjZHNhLXNoYTItbmlzdHAyNTYtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgfYtHETHqrTUqzgC/WFoN"
	"smOnFttU+Yo3y7temxQW2IoAAAAIbmlzdHAyNTYAAABBBCjjfH8PbuLnFg8enAYeYKoLBsPKEUzBInZoR/sY"
	"2ZmekKkdFRuIjmVfJC2z85qkzmgyfNZBML/uG8m1VrWRFcQAAAAAAAAAAAAAAAEAAAADYm9iAAAABwAAAANi"
	"b2IAAAAAAAAAAP//////////AAAANAAAAA5zb3VyY2UtYWRkcmVzcwAAAB4AAAAaMTkyLjAuMi4wLzI0LDIw"
	"MDE6ZGI4OjovMzIAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAXcGVybWl0LWFnZW50LWZv"
	"cndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBlcm1pdC1wdHkAAAAAAAAA"
	"DnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAACIAAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQA"
	"AABhBOKk8P1WsihE0C+Ki4IxcQD5cexiQywCpD3vMrBwwDQv7bKcvzbrJgDrdbLyfa9N4Zd/nwp0H2JlJDdZ"
	"QSIm0AVVKNEklSjUMM7BG6FfVcMra+yqzlxueWFS0ExjRO+zgwAAAIQAAAATZWNkc2Etc2hhMi1uaXN0cDM4"
	"NAAAAGkAAAAwN3s8K/4nyVUeaZw/JZmHqrvdljWZkb3tWofjvxfnp8BLYDg3zh+IsE/M09tZ8RFiAAAAMQCE"
	"s8OmVPgdpCs8e/tk/WdD3rsun4wfB5Bcj0dTuhmNSL/+Mn3QfmklYvBVkJNSZeE=";
static const char cert_force[] =
	"AAAAHHNzaC1yc2EtY2VydC12MDFAb3BlbnNzaC5jb20AAAAg8oanDF1sfpC+C1Rmq18yArX5APtw5Pr6Pwo3"
	"Um8nnbcAAAADAQABAAABAQC3fc3e/2btEBYqyBBrcHKGyVAJoWiMBZJRkOUXHNj5eb5NIfkt7kkutEeTfrJP"
	"56oOnspwgZr2OWSgMh27PSClipK2oGBcdQh6gKXdhu8KdzNEwbTCgu9XdZGKk34f00rrK+wQ6/zn+JPM4FQg"
	"4eaOI/7ZJXpyCh7hqzv/w9xz+LiQSBEhTLKc3FeSgzRuNigvW42X/bXKV6nBhAxRxczVKD6OzSXsRODLyhsy"
	"hZkQ1hxPJUbv+PK+5T8dcnvR/bIiZqO9rynSCE1jPY8pRy31lztRI88f34Z9TvKlHLtfFkVzV4OAjmSPn9QA"
	"Sz5EfuWYfKRc9sOz6GmPNauB2KJRAAAAAAAAAAAAAAABAAAAA2FsbAAAAAAAAAAAAAAAAP//////////AAAA"
	"GwAAAA1mb3JjZS1jb21tYW5kAAAABgAAAAJscwAAAIIAAAAVcGVybWl0LVgxMS1mb3J3YXJkaW5nAAAAAAAA"
	"ABdwZXJtaXQtYWdlbnQtZm9yd2FyZGluZwAAAAAAAAAWcGVybWl0LXBvcnQtZm9yd2FyZGluZwAAAAAAAAAK"
	"cGVybWl0LXB0eQAAAAAAAAAOcGVybWl0LXVzZXItcmMAAAAAAAAAAAAAADMAAAALc3NoLWVkMjU1MTkAAAAg"
	"Q7s7uV0m+UDpjoWc2ylUZy2qTeTSdWywxw+pDw+ZupwAAABTAAAAC3NzaC1lZDI1NTE5AAAAQMOW4vtlDcOX"
	"Sk/cytDlGkNBKKr33Y1eDVFWvQ6hAQUoMYNsTgwgIiv39hPpAwIH7N7bE+qYodZ2LrjF5DUdVAY=";
static const char cert_host[] =
	"AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAIJMbF53Ix0HvIZzRldzeNncMV2t4Gn48"
	"lt0MlDdN5DCmAAAAIKfV11bcaZ855W1w3kEsBeq+nAZI4CY/7Rw9S+nVIfopAAAAAAAAAAAAAAACAAAABGhv"
	"c3QAAAAPAAAAC2V4YW1wbGUub3JnAAAAAAAAAAD//////////wAAAAAAAAAAAAAAAAAAADMAAAALc3NoLWVk"
	"MjU1MTkAAAAgQ7s7uV0m+UDpjoWc2ylUZy2qTeTSdWywxw+pDw+ZupwAAABTAAAAC3NzaC1lZDI1NTE5AAAA"
	"QEjMHoIukv9dxn3lOrGqjEuo3/5E/MbiPaKeyjbjEJbMGlNYQtCYr1TtsrzR/INdqUtqjtrNrS79zQXnCRLT"
	"MQI=";
static const char cert_521[] =
	"AAAAKGVjZHNhLXNoYTItbmlzdHA1MjEtY2VydC12MDFAb3BlbnNzaC5jb20AAAAgJ4XmrgyAAC6m9zSmfPgf"
	"tbGtVM/9hrzVjhvRR9NLOMYAAAAIbmlzdHA1MjEAAACFBAGihGc3hwN3bW+bPtzpCH7rBLPHcBRW9YYgM77g"
	"p1teVXmnJihCYuNuH6xV1cEmlf47yCqmZvsVaF8sRA8RXQmlcwEjhuRAcWJOq7LO9ieiiY9PrzG4KCL6KSC2"
	"dXh+LsYkSPbI2ngiy+kHTvucOlstxR/ZgdrabR1yWEDYTpNacRRb+AAAAAAAAAAAAAAAAQAAAARmaXZlAAAA"
	"BQAAAAF4AAAAAAAAAAD//////////wAAAAAAAACCAAAAFXBlcm1pdC1YMTEtZm9yd2FyZGluZwAAAAAAAAAX"
	"cGVybWl0LWFnZW50LWZvcndhcmRpbmcAAAAAAAAAFnBlcm1pdC1wb3J0LWZvcndhcmRpbmcAAAAAAAAACnBl"
	"cm1pdC1wdHkAAAAAAAAADnBlcm1pdC11c2VyLXJjAAAAAAAAAAAAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIEO7"
	"O7ldJvlA6Y6FnNspVGctqk3k0nVssMcPqQ8PmbqcAAAAUwAAAAtzc2gtZWQyNTUxOQAAAEDj43LW9WNwAjPG"
	"di3BFj4a2jHGIlAhVeyP875wFoQAh1XADLG5PRllLCWBMH7MyHmgLKpGzNoOFFwUf4zOPXIG";

/* Bytes of the text. */
static struct str blob_of(const char *text, uint8_t out[SSH_CERT_MAX])
{
	size_t len;

	assert_int_equal(base64_decode(str_of(text), out, SSH_CERT_MAX, &len), 0);
	return (struct str){(const char *)out, len};
}

static void test_what_they_say(void **state)
{
	static const struct {
		const char *why, *text, *type, *id;
		uint64_t serial, after, before;
		bool is_user, unknown;
		size_t n;
		const char *first, *last, *source;
		size_t ca_len;
	} cases[] = {
		{"a user with two names, for a year", cert_user, "ssh-ed25519-cert-v01@openssh.com",
		 "anna@desk", 7, 1767225600, 1798761600, true, false, 2, "anna", "deploy", "", 51},
		{"only from two networks, signed by another kind of key", cert_source,
		 "ecdsa-sha2-nistp256-cert-v01@openssh.com", "bob", 0, 0, UINT64_MAX, true, false,
		 1, "bob", "bob", "192.0.2.0/24,2001:db8::/32", 136},
		{"no name, and an option that is not known", cert_force,
		 "ssh-rsa-cert-v01@openssh.com", "all", 0, 0, UINT64_MAX, true, true, 0, NULL, NULL,
		 "", 51},
		{"a host's", cert_host, "ssh-ed25519-cert-v01@openssh.com", "host", 0, 0,
		 UINT64_MAX, false, false, 1, "example.org", "example.org", "", 51},
		{"a larger curve", cert_521, "ecdsa-sha2-nistp521-cert-v01@openssh.com", "five", 0,
		 0, UINT64_MAX, true, false, 1, "x", "x", "", 51},
	};
	uint8_t bytes[SSH_CERT_MAX];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct str blob = blob_of(cases[i].text, bytes);
		struct ssh_cert c;

		print_message("# %s\n", cases[i].why);
		assert_true(ssh_cert_is(blob));
		assert_int_equal(ssh_cert_parse(blob, &c), 0);
		assert_true(str_eq(c.type, str_of(cases[i].type)));
		assert_true(str_eq(c.id, str_of(cases[i].id)));
		assert_true(c.serial == cases[i].serial);
		assert_true(c.after == cases[i].after && c.before == cases[i].before);
		assert_int_equal(c.is_user, cases[i].is_user);
		assert_int_equal(c.unknown_critical, cases[i].unknown);
		assert_int_equal(c.n_principals, cases[i].n);
		if (c.n_principals > 0) {
			assert_true(str_eq(c.principals[0], str_of(cases[i].first)));
			assert_true(
				str_eq(c.principals[c.n_principals - 1], str_of(cases[i].last)));
		}
		assert_true(str_eq(c.source_address, str_of(cases[i].source)));
		assert_int_equal(c.ca.len, cases[i].ca_len);
		assert_ptr_equal(c.signed_part.p, blob.p);
		/* the signature is all that follows what is signed */
		assert_int_equal(c.signed_part.len + 4 + c.signature.len, blob.len);
		assert_true(c.key.p > blob.p && c.key.p + c.key.len < blob.p + blob.len);
	}
}

/* A length in four bytes that covers one byte more or less than there is. */
static void test_nothing_is_left_over(void **state)
{
	static const char *const all[] = {cert_user, cert_source, cert_force, cert_host, cert_521};
	uint8_t bytes[SSH_CERT_MAX];
	struct ssh_cert c;

	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		struct str blob = blob_of(all[i], bytes);
		char *more = malloc(blob.len + 1);

		assert_non_null(more);
		for (size_t n = 0; n < blob.len; n++) {
			char *part = malloc(n + 1); /* a byte read too much is seen */

			assert_non_null(part);
			memcpy(part, blob.p, n);
			assert_int_equal(ssh_cert_parse((struct str){part, n}, &c), ERR_PROTO);
			free(part);
		}
		memcpy(more, blob.p, blob.len);
		more[blob.len] = 0;
		assert_int_equal(ssh_cert_parse((struct str){more, blob.len + 1}, &c), ERR_PROTO);
		free(more);
	}
	assert_int_equal(ssh_cert_parse((struct str){(char *)bytes, SSH_CERT_MAX + 1}, &c),
			 ERR_TOOBIG);
}

/* ---- put together by hand ---- */

/* What is written into, and how much of it. */
struct made {
	char bytes[SSH_CERT_MAX];
	size_t n;
};

static void made_number(struct made *m, size_t n, uint64_t v)
{
	for (size_t i = n; i-- > 0; v >>= 8)
		m->bytes[m->n + i] = (char)v;
	m->n += n;
}

static void made_string(struct made *m, struct str s)
{
	made_number(m, 4, s.len);
	if (s.len > 0)
		memcpy(m->bytes + m->n, s.p, s.len);
	m->n += s.len;
}

static struct str made_str(const struct made *m)
{
	return (struct str){m->bytes, m->n};
}

/* A certificate that differs in what is asked about. */
static int made_parse(uint64_t kind, struct str principals, struct str critical, struct str type,
		      struct ssh_cert *c)
{
	static struct made m;

	m.n = 0;
	made_string(&m, type);
	made_string(&m, STR("nonce"));
	made_string(&m, STR("key"));
	made_number(&m, 8, 1);
	made_number(&m, 4, kind);
	made_string(&m, STR("id"));
	made_string(&m, principals);
	made_number(&m, 8, 0);
	made_number(&m, 8, 1);
	made_string(&m, critical);
	made_string(&m, STR(""));
	made_string(&m, STR(""));
	made_string(&m, STR("ca"));
	made_string(&m, STR("signature"));
	return ssh_cert_parse(made_str(&m), c);
}

#define ED STR("ssh-ed25519-cert-v01@openssh.com")

static void test_odd_ones(void **state)
{
	struct made list = {.n = 0}, data = {.n = 0}, empty = {.n = 0}, many = {.n = 0};
	struct ssh_cert c;

	made_string(&data, STR("192.0.2.1"));
	made_string(&list, STR("source-address"));
	made_string(&list, made_str(&data));
	assert_int_equal(made_parse(1, STR(""), made_str(&list), ED, &c), 0);
	assert_true(str_eq(c.source_address, STR("192.0.2.1")));
	assert_false(c.unknown_critical);
	assert_true(str_eq(c.key, STR("\0\0\0\3key")));

	made_string(&list, STR("source-address"));
	made_string(&list, made_str(&data));
	assert_int_equal(made_parse(1, STR(""), made_str(&list), ED, &c), ERR_PROTO); /* twice */

	data.n = 0;
	made_string(&data, STR(""));
	made_string(&empty, STR("source-address"));
	made_string(&empty, made_str(&data));
	/* nowhere is not anywhere */
	assert_int_equal(made_parse(1, STR(""), made_str(&empty), ED, &c), ERR_PROTO);

	assert_int_equal(made_parse(0, STR(""), STR(""), ED, &c), ERR_PROTO); /* neither kind */
	assert_int_equal(made_parse(3, STR(""), STR(""), ED, &c), ERR_PROTO);
	assert_int_equal(made_parse(1, STR("\0\0\0\5four"), STR(""), ED, &c), ERR_PROTO);
	assert_int_equal(made_parse(1, STR(""), STR("\0\0\0\1a"), ED, &c), ERR_PROTO);
	assert_int_equal(made_parse(1, STR(""), STR(""), STR("ssh-dss-cert-v01@openssh.com"), &c),
			 ERR_PROTO);

	for (size_t i = 0; i < SSH_CERT_PRINCIPALS_MAX; i++)
		made_string(&many, STR("a"));
	assert_int_equal(made_parse(1, made_str(&many), STR(""), ED, &c), 0);
	assert_int_equal(c.n_principals, SSH_CERT_PRINCIPALS_MAX);
	made_string(&many, STR("a"));
	assert_int_equal(made_parse(1, made_str(&many), STR(""), ED, &c), ERR_TOOBIG);
}

static void test_what_is_none(void **state)
{
	assert_false(ssh_cert_is(STR("")));
	assert_false(ssh_cert_is(STR("\0\0\0\13ssh-ed25519")));
	assert_false(ssh_cert_is(STR("\0\0\0\25-cert-v01@openssh.com")));
	assert_false(ssh_cert_is(STR("\0\0\0\377ssh-ed25519-cert-v01@openssh.com")));
	assert_true(ssh_cert_is(STR("\0\0\0\34ssh-dss-cert-v01@openssh.com")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_they_say),
		cmocka_unit_test(test_nothing_is_left_over),
		cmocka_unit_test(test_odd_ones),
		cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
