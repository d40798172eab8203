/* A private authority: what it makes is good by OpenSSL's own judgement, and nothing is lost. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "wire/tls_ca.h"

#define NOW    INT64_C(1790000000000) /* in 2026 */
#define DAY_MS INT64_C(86400000)

struct ca_rig {
	char top[64], dir[128], out[128];
	char why[TLS_CA_WHY];
};

static void rig_open(struct ca_rig *r)
{
	str_printf(r->top, sizeof r->top, "/tmp/karez-test-XXXXXX");
	assert_non_null(mkdtemp(r->top));
	str_printf(r->dir, sizeof r->dir, "%s/state/ca", r->top);
	str_printf(r->out, sizeof r->out, "%s/out", r->top);
	assert_int_equal(mkdir(r->out, 0700), 0);
	assert_int_equal(tls_ca_init(r->dir, "test CA", NOW, r->why), 0);
}

static char *rig_path(const struct ca_rig *r, const char *file, char path[256])
{
	str_printf(path, 256, "%s/%s", r->top, file);
	return path;
}

static void rig_close(struct ca_rig *r)
{
	char command[128];

	str_printf(command, sizeof command, "rm -r %s", r->top);
	assert_int_equal(system(command), 0);
}

static int rig_issue(struct ca_rig *r, bool server, const char *names, uint64_t days,
		     struct tls_ca_issued *made)
{
	char copy[1024];
	const char *list[TLS_CA_NAMES_MAX + 1];
	struct tls_ca_issue opt = {
		.dir = r->dir, .out = r->out, .names = list, .server = server, .days = days};
	char *save = NULL;

	assert_int_equal(str_copy(copy, sizeof copy, str_of(names)), 0);
	for (char *name = strtok_r(copy, " ", &save); name != NULL;
	     name = strtok_r(NULL, " ", &save))
		list[opt.n_names++] = name;
	return tls_ca_issue(&opt, NOW, made, r->why);
}

static X509 *read_cert(const char *path)
{
	FILE *f = fopen(path, "re");
	X509 *cert;

	assert_non_null(f);
	cert = PEM_read_X509(f, NULL, NULL, NULL);
	assert_non_null(cert);
	fclose(f);
	return cert;
}

/* What OpenSSL says of a certificate at a moment: X509_V_OK, or why not. */
static int judge(struct ca_rig *r, const char *path, const char *purpose, int64_t at_ms)
{
	char ca[256], crl[256];
	X509_STORE *store = X509_STORE_new();
	X509_LOOKUP *lookup = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509 *cert = read_cert(path);
	int error;

	assert_int_equal(X509_STORE_load_file(store, rig_path(r, "state/ca/ca.pem", ca)), 1);
	assert_int_equal(X509_load_crl_file(lookup, rig_path(r, "state/ca/crl.pem", crl),
					    X509_FILETYPE_PEM),
			 1);
	X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_X509_STRICT);
	assert_int_equal(X509_STORE_CTX_init(ctx, store, cert, NULL), 1);
	X509_STORE_CTX_set_default(ctx, purpose);
	X509_VERIFY_PARAM_set_time(X509_STORE_CTX_get0_param(ctx), (time_t)(at_ms / 1000));
	(void)!X509_verify_cert(ctx);
	error = X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	X509_free(cert);
	return error;
}

static unsigned mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 0777;
}

/* ---- making ---- */

static void test_an_authority(void **state)
{
	char path[256], again[TLS_CA_WHY];
	struct ca_rig r;
	X509 *ca;

	rig_open(&r);
	assert_int_equal(mode_of(rig_path(&r, "state/ca", path)), 0700);
	assert_int_equal(mode_of(rig_path(&r, "state/ca/ca-key.pem", path)), 0600);
	assert_int_equal(tls_ca_init(r.dir, "another", NOW, again), ERR_EXISTS);
	assert_non_null(strstr(again, r.dir));
	ca = read_cert(rig_path(&r, "state/ca/ca.pem", path));
	assert_int_equal(X509_get_pathlen(ca), 0);
	assert_true(X509_check_ca(ca) == 1);
	assert_int_equal(X509_get_key_usage(ca), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
	assert_int_equal(EVP_PKEY_get_bits(X509_get0_pubkey(ca)), 256);
	assert_int_equal(X509_get_signature_nid(ca), NID_ecdsa_with_SHA256);
	X509_free(ca);
	rig_close(&r);
}

static void test_names_of_an_authority(void **state)
{
	static const char *const bad[] = {
		"", "two\nlines", "quo\"te", "t\xc3\xbcr",
		"a name that is far too long for a common name, which has sixty-four"};
	char why[TLS_CA_WHY];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(tls_ca_init("/nosuch/dir", bad[i], NOW, why), ERR_INVAL);
	assert_int_equal(tls_ca_init("/proc/nosuch", "good", NOW, why), ERR_NOTFOUND);
	assert_non_null(strstr(why, "/proc/nosuch"));
}

static void test_a_certificate(void **state)
{
	static const struct {
		const char *why;
		bool server;
		const char *names, *file, *purpose, *other;
		uint64_t days;
		int64_t good_days;
	} cases[] = {
		{"an agent of a realm", false, "TestClient1@example.org",
		 "out/TestClient1@example.org.pem", "ssl_client", "ssl_server", 0, 365},
		{"an agent without one, for a day", false, "robot", "out/robot.pem", "ssl_client",
		 "ssl_server", 1, 1},
		{"a server", true, "a.example.org *.a.example.org 192.0.2.1 2001:db8::1",
		 "out/a.example.org.pem", "ssl_server", "ssl_client", 0, 825},
		{"a wildcard", true, "*.example.org", "out/_.example.org.pem", "ssl_server",
		 "ssl_client", 30, 30},
		{"no longer than the authority", false, "old", "out/old.pem", "ssl_client",
		 "ssl_server", 99999, 3650},
	};
	char serials[ARRAY_LEN(cases)][TLS_CA_SERIAL_TEXT], path[256];
	struct tls_ca_issued made;
	struct ca_rig r;

	rig_open(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		assert_int_equal(rig_issue(&r, cases[i].server, cases[i].names, cases[i].days,
					   &made),
				 0);
		assert_string_equal(made.cert, rig_path(&r, cases[i].file, path));
		assert_int_equal(mode_of(made.key), 0600);
		assert_true(made.until_ms == NOW + cases[i].good_days * DAY_MS);
		assert_int_equal(judge(&r, made.cert, cases[i].purpose, NOW), X509_V_OK);
		assert_int_equal(judge(&r, made.cert, cases[i].purpose, made.until_ms - 1000),
				 X509_V_OK);
		assert_int_not_equal(judge(&r, made.cert, cases[i].purpose, made.until_ms + 1000),
				     X509_V_OK);
		assert_int_equal(judge(&r, made.cert, cases[i].other, NOW),
				 X509_V_ERR_INVALID_PURPOSE);
		memcpy(serials[i], made.serial, sizeof serials[i]);
		assert_true(strlen(made.serial) > 16);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(serials[j], serials[i]);
	}
	rig_close(&r);
}

static void test_names_in_a_certificate(void **state)
{
	struct tls_ca_issued made;
	struct ca_rig r;
	char name[80] = "";
	X509 *cert;

	rig_open(&r);
	assert_int_equal(rig_issue(&r, true, "a.example.org *.b.example.org 192.0.2.1 2001:db8::1",
				   0, &made),
			 0);
	cert = read_cert(made.cert);
	assert_int_equal(X509_check_host(cert, "a.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(cert, "x.b.example.org", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(cert, "c.example.org", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(cert, "192.0.2.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(cert, "2001:db8::1", 0), 1);
	X509_free(cert);
	assert_int_equal(rig_issue(&r, false, "TestClient1@example.org", 0, &made), 0);
	cert = read_cert(made.cert);
	X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, name, sizeof name);
	assert_string_equal(name, "TestClient1@example.org");
	X509_free(cert);
	rig_close(&r);
}

static void test_names_that_are_none(void **state)
{
	static const struct {
		const char *why;
		bool server;
		const char *names;
	} cases[] = {
		{"a path", false, "../../etc/passwd"},
		{"a hidden file", false, ".profile"},
		{"an option", false, "-x"},
		{"two agents", false, "a b"},
		{"a wildcard of agents", false, "*@example.org"},
		{"two realms", false, "a@b@c"},
		{"no realm", false, "a@"},
		{"a sign that no agent has", false, "joe+x@example.org"},
		{"longer than a common name", false,
		 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"},
		{"nothing", false, ""},
		{"a path of a server", true, "../a.example.org"},
		{"more in one name", true, "a.example.org,IP:10.0.0.1"},
		{"a wildcard in the middle", true, "a.*.example.org"},
		{"a good one and a bad one", true, "a.example.org b_"},
		{"a mail address", true, "a@example.org"},
		{"no server", true, ""},
	};
	struct tls_ca_issued made;
	struct ca_rig r;

	rig_open(&r);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		print_message("  %s\n", cases[i].why);
		assert_int_equal(rig_issue(&r, cases[i].server, cases[i].names, 0, &made),
				 ERR_INVAL);
		assert_true(r.why[0] != '\0');
	}
	rig_close(&r);
}

static void test_nothing_is_written_over(void **state)
{
	struct tls_ca_issued first, second;
	struct ca_rig r;
	char path[256];

	rig_open(&r);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &first), 0);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &second), ERR_EXISTS);
	assert_non_null(strstr(r.why, "robot.pem"));
	assert_int_equal(unlink(first.cert), 0);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &second), ERR_EXISTS); /* its key is */
	assert_int_equal(unlink(first.key), 0);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &second), 0);
	assert_string_not_equal(first.serial, second.serial);
	str_printf(r.out, sizeof r.out, "%s/nosuch", r.top);
	assert_int_equal(rig_issue(&r, false, "other", 0, &second), ERR_NOTFOUND);
	str_printf(r.dir, sizeof r.dir, "%s/nosuch", r.top);
	assert_int_equal(rig_issue(&r, false, "other", 0, &second), ERR_NOTFOUND);
	assert_non_null(strstr(r.why, "karezd ca init"));
	assert_int_equal(access(rig_path(&r, "nosuch", path), F_OK), -1);
	rig_close(&r);
}

/* ---- revoking ---- */

struct listed {
	struct tls_ca_entry all[16];
	size_t n;
};

static void on_entry(void *arg, const struct tls_ca_entry *entry)
{
	struct listed *l = arg;

	assert_true(l->n < ARRAY_LEN(l->all));
	l->all[l->n++] = *entry;
}

static long crl_number(struct ca_rig *r)
{
	char path[256];
	FILE *f = fopen(rig_path(r, "state/ca/crl.pem", path), "re");
	X509_CRL *crl;
	ASN1_INTEGER *n;
	long number;

	assert_non_null(f);
	crl = PEM_read_X509_CRL(f, NULL, NULL, NULL);
	assert_non_null(crl);
	fclose(f);
	n = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	number = ASN1_INTEGER_get(n);
	ASN1_INTEGER_free(n);
	X509_CRL_free(crl);
	return number;
}

static void test_revoking(void **state)
{
	struct tls_ca_issued one, two, other;
	struct listed l = {.n = 0};
	char lower[TLS_CA_SERIAL_TEXT];
	struct ca_rig r;
	size_t n;

	rig_open(&r);
	assert_int_equal(crl_number(&r), 1);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &one), 0);
	assert_int_equal(rig_issue(&r, false, "other", 0, &other), 0);
	str_printf(r.out, sizeof r.out, "%s", r.top);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &two), 0);

	for (size_t i = 0; i < sizeof lower; i++)
		lower[i] = ascii_lower(one.serial[i]);
	assert_int_equal(tls_ca_revoke(r.dir, lower, NOW, &n, r.why), 0); /* by its serial */
	assert_int_equal(n, 1);
	assert_int_equal(judge(&r, one.cert, "ssl_client", NOW), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(judge(&r, two.cert, "ssl_client", NOW), X509_V_OK);
	assert_int_equal(tls_ca_revoke(r.dir, "robot", NOW, &n, r.why), 0); /* by its name */
	assert_int_equal(n, 1);
	assert_int_equal(judge(&r, one.cert, "ssl_client", NOW), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(judge(&r, two.cert, "ssl_client", NOW), X509_V_ERR_CERT_REVOKED);
	assert_int_equal(judge(&r, other.cert, "ssl_client", NOW), X509_V_OK);
	assert_int_equal(tls_ca_revoke(r.dir, "robot", NOW, &n, r.why), 0); /* once more */
	assert_int_equal(n, 0);
	assert_int_equal(crl_number(&r), 4);
	/* years later, nobody has renewed the list */
	assert_int_equal(judge(&r, other.cert, "ssl_client", NOW + 364 * DAY_MS), X509_V_OK);

	assert_int_equal(tls_ca_revoke(r.dir, "nobody", NOW, &n, r.why), ERR_NOTFOUND);
	assert_non_null(strstr(r.why, "karezd ca list"));
	assert_int_equal(crl_number(&r), 4);

	assert_int_equal(tls_ca_list(r.dir, on_entry, &l, r.why), 0);
	assert_int_equal(l.n, 3);
	assert_string_equal(l.all[0].name, "robot");
	assert_string_equal(l.all[0].serial, one.serial);
	assert_true(l.all[0].until_ms == one.until_ms);
	assert_true(l.all[0].revoked && !l.all[1].revoked && l.all[2].revoked);
	assert_string_equal(l.all[1].name, "other");
	rig_close(&r);
}

static void test_damaged_files(void **state)
{
	char path[256];
	struct listed l = {.n = 0};
	struct tls_ca_issued made;
	struct ca_rig r;
	size_t n;
	FILE *f;

	rig_open(&r);
	assert_int_equal(rig_issue(&r, false, "robot", 0, &made), 0);
	f = fopen(rig_path(&r, "state/ca/issued.jsonl", path), "ae");
	fputs("{\"serial\":\"01\",\"na", f); /* the power went */
	fclose(f);
	assert_int_equal(tls_ca_revoke(r.dir, "robot", NOW, &n, r.why), 0);
	assert_int_equal(n, 1);
	assert_int_equal(rig_issue(&r, false, "next", 0, &made), 0);
	assert_int_equal(tls_ca_list(r.dir, on_entry, &l, r.why), 0);
	assert_int_equal(l.n, 2);
	assert_string_equal(l.all[1].name, "next");
	f = fopen(path, "ae");
	fputs("{}\n", f);
	fclose(f);
	assert_int_equal(tls_ca_list(r.dir, on_entry, &l, r.why), ERR_PROTO);
	assert_non_null(strstr(r.why, "issued.jsonl: line 3"));
	assert_int_equal(rig_issue(&r, false, "third", 0, &made), 0);
	l.n = 0;
	assert_int_equal(tls_ca_list(r.dir, on_entry, &l, r.why), ERR_PROTO);
	assert_int_equal(l.n, 3); /* those around it are told */
	assert_string_equal(l.all[2].name, "third");
	assert_int_equal(tls_ca_revoke(r.dir, "third", NOW, &n, r.why), 0); /* and revoked */
	assert_int_equal(n, 1);
	assert_non_null(strstr(r.why, "issued.jsonl: line 3"));
	assert_int_equal(tls_ca_revoke(r.dir, "lost", NOW, &n, r.why), ERR_NOTFOUND);
	assert_non_null(strstr(r.why, "issued.jsonl: line 3"));
	f = fopen(rig_path(&r, "state/ca/crl.pem", path), "we");
	fputs("nothing", f);
	fclose(f);
	assert_int_equal(tls_ca_revoke(r.dir, "robot", NOW, &n, r.why), ERR_TLS);
	assert_non_null(strstr(r.why, "crl.pem"));
	f = fopen(rig_path(&r, "state/ca/ca-key.pem", path), "we");
	fclose(f);
	assert_int_equal(rig_issue(&r, false, "second", 0, &made), ERR_TLS);
	assert_non_null(strstr(r.why, "ca-key.pem"));
	rig_close(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_authority),
		cmocka_unit_test(test_names_of_an_authority),
		cmocka_unit_test(test_a_certificate),
		cmocka_unit_test(test_names_in_a_certificate),
		cmocka_unit_test(test_names_that_are_none),
		cmocka_unit_test(test_nothing_is_written_over),
		cmocka_unit_test(test_revoking),
		cmocka_unit_test(test_damaged_files),
	};

	return cmocka_run_group_tests_name("tls ca", tests, NULL, NULL);
}
