/* Certificates that ssh-keygen has made, each broken rule once, and each byte of one wrong once. */
#include "core/ssh_ca.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/err.h"
#include "unit/core/ssh_ca_certs.h"

#define YEAR_2026 INT64_C(1767225600000) /* its first moment, wall clock */
#define YEAR_2027 INT64_C(1798761600000)
#define NOW	  (YEAR_2026 + 1000000)

static const char all[] = "# who may sign\r\n\n" CA_ED25519 "\n" CA_P256 " somebody\n" CA_P384
			  "\r\n  " CA_P521 "\n" CA_RSA;

static struct ssh_ca *ca_of(const char *text)
{
	char why[SSH_CA_WHY] = "";
	struct ssh_ca *ca = NULL;

	if (ssh_ca_new(str_of(text), &ca, why) != 0)
		fail_msg("%s", why);
	return ca;
}

/* The caller frees it. */
static struct str blob_of(const char *name)
{
	size_t len = 0;
	char *bytes;

	for (size_t i = 0; i < ARRAY_LEN(ssh_ca_certs); i++) {
		struct str text = str_of(ssh_ca_certs[i].base64);

		if (strcmp(ssh_ca_certs[i].name, name) != 0)
			continue;
		bytes = malloc(text.len);
		assert_non_null(bytes);
		assert_int_equal(base64_decode(text, bytes, text.len, &len), 0);
		return (struct str){bytes, len};
	}
	fail_msg("no certificate %s", name);
	return STR("");
}

/* ---- checking ---- */

static const struct {
	const char *why, *cert, *user, *ip;
	int64_t now_ms;
	const char *want; /* the principal, or, behind a '!', some of the reason */
} cases[] = {
	{"one that is good", "good", "ann", "192.0.2.1", NOW, "ann"},
	{"another of its names is asked for", "good", "deploy", "192.0.2.1", NOW, "deploy"},
	{"a name that is none of its own", "good", "root", "192.0.2.1", NOW, "ann"},
	{"no name at all", "good", "", "192.0.2.1", NOW, "ann"},
	{"its first moment", "good", "ann", "192.0.2.1", YEAR_2026, "ann"},
	{"the moment before", "good", "ann", "192.0.2.1", YEAR_2026 - 1, "!not valid yet"},
	{"its last moment", "good", "ann", "192.0.2.1", YEAR_2027 - 1, "ann"},
	{"the moment after", "good", "ann", "192.0.2.1", YEAR_2027, "!not valid any more"},
	{"for ever", "forever", "ann", "192.0.2.1", NOW * 100, "ann"},
	{"of another year", "expired", "ann", "192.0.2.1", NOW, "!not valid any more"},
	{"of a year to come", "notyet", "ann", "192.0.2.1", NOW, "!not valid yet"},
	{"a clock before 1970", "good", "ann", "192.0.2.1", -5, "!not valid yet"},
	{"it names nobody", "nobody", "ann", "192.0.2.1", NOW, "!names nobody"},
	{"a stranger has signed", "other", "ann", "192.0.2.1", NOW, "!no authority"},
	{"a host's", "host", "ann", "192.0.2.1", NOW, "!a host's"},
	{"from where it may", "from", "ann", "192.0.2.200", NOW, "ann"},
	{"from where it may, IPv6", "from", "ann", "2001:db8::5", NOW, "ann"},
	{"from the one address", "from", "ann", "10.1.2.3", NOW, "ann"},
	{"from elsewhere", "from", "ann", "198.51.100.1", NOW, "!from this address"},
	{"from nowhere", "from", "ann", "", NOW, "!from this address"},
	{"a command that we would not run", "force", "ann", "192.0.2.1", NOW, "!critical option"},
	{"signed by P-256", "p256", "ann", "192.0.2.1", NOW, "ann"},
	{"signed by P-384", "p384", "ann", "192.0.2.1", NOW, "ann"},
	{"signed by P-521", "p521", "ann", "192.0.2.1", NOW, "ann"},
	{"signed by RSA and SHA-512", "rsa512", "ann", "192.0.2.1", NOW, "ann"},
	{"signed by RSA and SHA-256", "rsa256", "ann", "192.0.2.1", NOW, "ann"},
	{"signed by RSA and SHA-1", "rsasha1", "ann", "192.0.2.1", NOW, "!signature"},
	{"of an RSA key", "ofrsa", "ann", "192.0.2.1", NOW, "ann"},
	{"its only name is too long", "longname", "ann", "192.0.2.1", NOW, "!names nobody"},
	{"a name with a space is none", "spaced", "two words", "192.0.2.1", NOW, "ann"},
};

static void test_checks(void **state)
{
	struct ssh_ca *ca = ca_of(all);

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct ssh_ca_ask ask = {.blob = blob_of(cases[i].cert),
					 .user = str_of(cases[i].user),
					 .ip = cases[i].ip,
					 .now_ms = cases[i].now_ms};
		char out[SSH_CA_NAME_TEXT] = "", why[SSH_CA_WHY] = "";
		int e = ssh_ca_check(ca, &ask, out, why);

		if (cases[i].want[0] == '!'
			    ? e != ERR_AUTH || strstr(why, cases[i].want + 1) == NULL
			    : e != 0 || strcmp(out, cases[i].want) != 0)
			fail_msg("%s: %s, \"%s\", %s", cases[i].why, err_name(e), out, why);
		free((char *)(uintptr_t)ask.blob.p);
	}
	ssh_ca_free(ca);
}

/* Of the same certificate nothing may be changed, cut off or added. */
static void test_each_byte_counts(void **state)
{
	static const char *const certs[] = {"good", "p256", "p521", "rsa256"};
	struct ssh_ca *ca = ca_of(all);

	for (size_t i = 0; i < ARRAY_LEN(certs); i++) {
		struct str blob = blob_of(certs[i]);
		char *bytes = malloc(blob.len + 1), out[SSH_CA_NAME_TEXT], why[SSH_CA_WHY];
		struct ssh_ca_ask ask = {.blob = {bytes, blob.len},
					 .user = STR("ann"),
					 .ip = "::1",
					 .now_ms = NOW};

		assert_non_null(bytes);
		memcpy(bytes, blob.p, blob.len);
		bytes[blob.len] = '\0';
		assert_int_equal(ssh_ca_check(ca, &ask, out, why), 0);
		for (size_t at = 0; at < blob.len; at++) {
			bytes[at] ^= (char)(1 << at % 8);
			if (ssh_ca_check(ca, &ask, out, why) != ERR_AUTH)
				fail_msg("%s: byte %zu does not count", certs[i], at);
			bytes[at] ^= (char)(1 << at % 8);
		}
		for (ask.blob.len = 0; ask.blob.len < blob.len; ask.blob.len++)
			assert_int_equal(ssh_ca_check(ca, &ask, out, why), ERR_AUTH);
		ask.blob.len = blob.len + 1;
		assert_int_equal(ssh_ca_check(ca, &ask, out, why), ERR_AUTH);
		free(bytes);
		free((char *)(uintptr_t)blob.p);
	}
	ssh_ca_free(ca);
}

/* Each authority's certificates are good for those who trust it only. */
static void test_an_authority_of_its_own(void **state)
{
	struct ssh_ca *ca = ca_of(CA_P384);
	static const struct {
		const char *cert;
		int want;
	} rows[] = {{"p384", 0}, {"p256", ERR_AUTH}, {"good", ERR_AUTH}, {"rsa512", ERR_AUTH}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct ssh_ca_ask ask = {.blob = blob_of(rows[i].cert),
					 .user = STR("x"),
					 .ip = "::1",
					 .now_ms = NOW};
		char out[SSH_CA_NAME_TEXT], why[SSH_CA_WHY];

		assert_int_equal(ssh_ca_check(ca, &ask, out, why), rows[i].want);
		free((char *)(uintptr_t)ask.blob.p);
	}
	ssh_ca_free(ca);
}

/* ---- reading authorities ---- */

static void test_files(void **state)
{
	static const struct {
		const char *why, *text, *want; /* want: some of the reason */
	} files[] = {
		{"an empty file", "", "no key in it"},
		{"only comments", "# nothing\n\n  # yet\n", "no key in it"},
		{"no key on the second line", CA_ED25519 "\nhello\n", "line 2: "},
		{"a key in hardware",
		 "sk-ssh-ed25519@openssh.com "
		 "AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZG"
		 "hscHR4fAAAABHNzaDo=",
		 "hardware"},
		{"a point that is on no curve",
		 "ecdsa-sha2-nistp256 "
		 "AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBAEBAQEBAQEBAQEBAQEBAQEBAQEBA"
		 "QEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
		 "line 1: "},
	};
	char many[(SSH_CA_KEYS_MAX + 1) * sizeof CA_ED25519] = "";

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		struct ssh_ca *ca = NULL;
		char why[SSH_CA_WHY] = "";

		if (ssh_ca_new(str_of(files[i].text), &ca, why) != ERR_INVAL ||
		    strstr(why, files[i].want) == NULL)
			fail_msg("%s: \"%s\"", files[i].why, why);
		assert_null(ca);
	}
	for (size_t i = 0, n = 0; i <= SSH_CA_KEYS_MAX; i++) {
		struct ssh_ca *ca = NULL;
		char why[SSH_CA_WHY];
		bool fits = i < SSH_CA_KEYS_MAX;

		n += str_printf(many + n, sizeof many - n, "%s\n", CA_ED25519);
		assert_int_equal(ssh_ca_new(str_of(many), &ca, why), fits ? 0 : ERR_INVAL);
		ssh_ca_free(ca);
	}
	ssh_ca_free(NULL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checks),
		cmocka_unit_test(test_each_byte_counts),
		cmocka_unit_test(test_an_authority_of_its_own),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
