/* Whom we trust: known_hosts, and the talk about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/err.h"
#include "secsh_home.h"
#include "session/secsh_known.h"

/* Keys of hosts, made once; as text, and their fingerprint. */
struct host_key {
	ssh_key key;
	const char *type;
	char *base64, *print;
};

static struct host_key one, other, ecdsa;

static char said[8192], prompts[2048]; /* all that the person sees; questions only */
static const char *answers[4];	       /* what the person types; NULL: nobody is there */
static int n_asked;

static void on_say(void *arg, const char *text)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof said - len, "%s\n", text);
}

static int on_ask(void *arg, const char *prompt, bool echo, char *out, size_t cap)
{
	size_t len = strlen(prompts);

	on_say(NULL, prompt);
	assert_true(echo);
	snprintf(prompts + len, sizeof prompts - len, "%s\n", prompt);
	if (answers[n_asked] == NULL)
		return ERR_DENIED;
	snprintf(out, cap, "%s", answers[n_asked++]);
	return 0;
}

static const struct secsh_agent_asks asks = {.ask = on_ask, .say = on_say};

static void make(struct host_key *k, enum ssh_keytypes_e type, int bits, const char *name)
{
	unsigned char *hash = NULL;
	size_t len;

	assert_int_equal(SSH_OK, ssh_pki_generate(type, bits, &k->key));
	assert_int_equal(SSH_OK, ssh_pki_export_pubkey_base64(k->key, &k->base64));
	assert_int_equal(0, ssh_get_publickey_hash(k->key, SSH_PUBLICKEY_HASH_SHA256, &hash, &len));
	k->print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, len);
	k->type = name;
	ssh_clean_pubkey_hash(&hash);
}

static void drop(struct host_key *k)
{
	ssh_key_free(k->key);
	ssh_string_free_char(k->base64);
	ssh_string_free_char(k->print);
}

static int setup(void **state)
{
	make(&one, SSH_KEYTYPE_ED25519, 0, "ssh-ed25519");
	make(&other, SSH_KEYTYPE_ED25519, 0, "ssh-ed25519");
	make(&ecdsa, SSH_KEYTYPE_ECDSA_P256, 256, "ecdsa-sha2-nistp256");
	return secsh_home_setup(state);
}

static int teardown(void **state)
{
	drop(&one);
	drop(&other);
	drop(&ecdsa);
	return secsh_home_teardown(state);
}

/* Nothing but the test's own known_hosts; option: one -o, or NULL. */
static void find(struct secsh_where *w, const char *host, uint16_t port, const char *option)
{
	const char *options[] = {"GlobalKnownHostsFile=none", option};
	struct secsh_agent_opt opt = {.where = {.host = host,
						.user = "me",
						.port = port,
						.config = "none",
						.options = options,
						.n_options = option != NULL ? 2 : 1},
				      .asks = asks};
	char why[SECSH_WHY_TEXT];

	*w = (struct secsh_where){0};
	assert_int_equal(0, secsh_where_find(w, &opt, why));
	said[0] = prompts[0] = '\0';
	n_asked = 0;
}

/* The line for a key; the caller frees it. "%1" in text: key one, "%2": the other, "%3": ecdsa. */
static void write_known(const char *text)
{
	char out[8192];
	size_t n = 0;

	for (; *text != '\0'; text++) {
		const struct host_key *k = text[0] != '%'   ? NULL
					   : text[1] == '1' ? &one
					   : text[1] == '2' ? &other
							    : &ecdsa;

		if (k == NULL) {
			out[n++] = *text;
			continue;
		}
		n += (size_t)snprintf(out + n, sizeof out - n, "%s %s", k->type, k->base64);
		text++;
	}
	out[n] = '\0';
	secsh_home_write(".ssh/known_hosts", out);
}

static void test_what_the_files_say(void **state)
{
	static const struct {
		const char *why, *known, *host, *option;
		uint16_t port;
		enum secsh_trust want;
		unsigned line;
	} cases[] = {
		{"an empty file", "", "h", NULL, 22, SECSH_NEW, 0},
		{"the key", "h %1\n", "h", NULL, 22, SECSH_KNOWN, 1},
		{"the key with a comment, no LF", "#x\n\nh %1 me@h", "h", NULL, 22, SECSH_KNOWN, 3},
		{"another key", "h %2\n", "h", NULL, 22, SECSH_CHANGED, 1},
		{"another host", "g %1\n", "h", NULL, 22, SECSH_NEW, 0},
		{"tabs instead of blanks", "\th\t%1\tme\n", "h", NULL, 22, SECSH_KNOWN, 1},
		{"one of several names", "g,h,i %1\n", "h", NULL, 22, SECSH_KNOWN, 1},
		{"a pattern", "*.org %1\n", "h.org", NULL, 22, SECSH_KNOWN, 1},
		{"another case", "H %1\n", "h", NULL, 22, SECSH_KNOWN, 1},
		{"both keys: the right one counts", "h %2\nh %1\n", "h", NULL, 22, SECSH_KNOWN, 2},
		{"both keys, the other way round", "h %1\nh %2\n", "h", NULL, 22, SECSH_KNOWN, 1},
		{"a key of another kind only", "h %3\n", "h", NULL, 22, SECSH_NEW, 0},
		{"at a port of its own", "[h]:2222 %1\n", "h", NULL, 2222, SECSH_KNOWN, 1},
		{"another key at that port", "[h]:2222 %2\nh %1\n", "h", NULL, 2222, SECSH_CHANGED,
		 1},
		{"known without the port", "h %1\n", "h", NULL, 2222, SECSH_KNOWN, 1},
		{"another one without the port", "h %2\n", "h", NULL, 2222, SECSH_NEW, 0},
		{"at another port", "[h]:2223 %1\n", "h", NULL, 2222, SECSH_NEW, 0},
		{"by its alias", "a %1\nh %2\n", "h", "HostKeyAlias=A", 2222, SECSH_KNOWN, 1},
		{"not by its name when it has an alias", "h %1\n", "h", "HostKeyAlias=a", 22,
		 SECSH_NEW, 0},
		{"revoked", "h %1\n@revoked * %1\n", "h", NULL, 22, SECSH_REVOKED, 2},
		{"revoked first", "@revoked h %1\nh %1\n", "h", NULL, 22, SECSH_REVOKED, 1},
		{"revoked, with tabs", "h %1\n@revoked\th\t%1\n", "h", NULL, 22, SECSH_REVOKED, 2},
		{"no marker", "@revokedh %1\nh %1\n", "h", NULL, 22, SECSH_KNOWN, 2},
		{"another one is revoked", "@revoked * %2\nh %1\n", "h", NULL, 22, SECSH_KNOWN, 2},
		{"revoked without the port", "@revoked h %1\n", "h", NULL, 2222, SECSH_REVOKED, 1},
		{"an authority vouches for no key", "@cert-authority * %1\n", "h", NULL, 22,
		 SECSH_NEW, 0},
		{"after lines that mean nothing", "h ssh-moon AAAA\nh ssh-rsa @@\nx\nh %1\n", "h",
		 NULL, 22, SECSH_KNOWN, 4},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct secsh_finding f;
		struct secsh_where w;

		write_known(cases[i].known);
		find(&w, cases[i].host, cases[i].port, cases[i].option);
		secsh_known_find(&w, one.key, &f);
		if (f.trust != cases[i].want || f.line != cases[i].line)
			fail_msg("%s: %d, line %u", cases[i].why, (int)f.trust, f.line);
		secsh_where_free(&w);
	}
}

/* `ssh-keygen -H` writes names so that nobody can read them. */
static void test_a_hashed_name(void **state)
{
	struct secsh_finding f;
	struct secsh_where w;

	write_known("|1|F1E1KeoE/eEWhi10WpGv4OdiO6Y=|3988QV0VE8wmZL7suNrYQLITLCg= %1\n");
	find(&w, "192.168.1.61", 22, NULL);
	secsh_known_find(&w, one.key, &f);
	assert_int_equal(SECSH_KNOWN, f.trust);
	secsh_where_free(&w);
	find(&w, "192.168.1.62", 22, NULL);
	secsh_known_find(&w, one.key, &f);
	assert_int_equal(SECSH_NEW, f.trust);
	secsh_where_free(&w);
}

static void test_several_files(void **state)
{
	struct secsh_finding f;
	struct secsh_where w;

	write_known("h %1\n");
	find(&w, "h", 22, "UserKnownHostsFile=/nowhere ~/.ssh/known_hosts");
	secsh_known_find(&w, one.key, &f);
	assert_int_equal(SECSH_KNOWN, f.trust);
	assert_ptr_equal(w.known[1], f.file);
	secsh_where_free(&w);
}

static void test_a_long_line(void **state)
{
	static char text[3 * SECSH_LINE_MAX];
	struct secsh_finding f;
	struct secsh_where w;

	memset(text, 'x', 2 * SECSH_LINE_MAX);
	snprintf(text + 2 * SECSH_LINE_MAX, SECSH_LINE_MAX, "\nh %s %s\n", one.type, one.base64);
	secsh_home_write(".ssh/known_hosts", text);
	find(&w, "h", 22, NULL);
	secsh_known_find(&w, one.key, &f);
	assert_int_equal(SECSH_KNOWN, f.trust);
	assert_int_equal(2, f.line);
	secsh_where_free(&w);
}

static void test_what_is_asked_for(void **state)
{
	char kinds[SECSH_KINDS_TEXT];
	struct secsh_where w;

	write_known("h %3\n@revoked h %1\n");
	find(&w, "h", 22, NULL);
	secsh_known_kinds(&w, kinds);
	assert_string_equal("ecdsa-sha2-nistp256,ssh-ed25519,ecdsa-sha2-nistp384,"
			    "ecdsa-sha2-nistp521,rsa-sha2-512,rsa-sha2-256",
			    kinds);
	secsh_where_free(&w);
}

static void test_the_talk(void **state)
{
	static const struct {
		const char *why, *known, *option, *answers[4];
		int want;
		const char *said;    /* a part of it, "%" is the fingerprint; NULL: nothing */
		const char *written; /* a part of known_hosts afterwards */
		int n_asked;
	} cases[] = {
		{"a known one is no matter of talk",
		 "[h]:22 %1\n",
		 NULL,
		 {NULL},
		 0,
		 NULL,
		 "[h]:22",
		 0},
		{"yes",
		 "",
		 NULL,
		 {"yes"},
		 0,
		 "The authenticity of host 'h' can't be established.\n"
		 "ED25519 key fingerprint is %.\n"
		 "Are you sure you want to continue connecting (yes/no/[fingerprint])? \n"
		 "Warning: Permanently added 'h' (ED25519)",
		 "h ssh-",
		 1},
		{"no", "x %1\n", NULL, {"no"}, ERR_CERT, "fingerprint is %.", "x ssh-", 1},
		{"only ENTER", "x %1\n", NULL, {""}, ERR_CERT, "fingerprint is %.", "x ssh-", 1},
		{"first perhaps, then yes",
		 "x %1",
		 NULL,
		 {"perhaps", "YES"},
		 0,
		 "Permanently",
		 "\nh ssh-",
		 2},
		{"nobody is there", "x %1\n", NULL, {NULL}, ERR_CERT, "fingerprint is %.", "x", 0},
		{"a key of another kind is known",
		 "h %3\n",
		 NULL,
		 {"no"},
		 ERR_CERT,
		 "can't be established\n"
		 "but keys of different type are already known for this host.\nED25519 key ",
		 "h",
		 1},
		{"strict", "x %1\n", "StrictHostKeyChecking=yes", {"yes"}, ERR_CERT, NULL, "x", 0},
		{"no person in a batch",
		 "x %1\n",
		 "BatchMode=yes",
		 {"yes"},
		 ERR_CERT,
		 NULL,
		 "x",
		 0},
		{"new ones are welcome",
		 "",
		 "StrictHostKeyChecking=accept-new",
		 {NULL},
		 0,
		 "Permanently added 'h'",
		 "h ssh-ed25519",
		 0},
		{"all are welcome",
		 "",
		 "StrictHostKeyChecking=no",
		 {NULL},
		 0,
		 "Permanently",
		 "h ssh-ed25519",
		 0},
		{"changed",
		 "h %2\n",
		 NULL,
		 {"yes"},
		 ERR_CERT,
		 "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\n",
		 "h",
		 0},
		{"changed, and new ones are welcome",
		 "h %2\n",
		 "StrictHostKeyChecking=accept-new",
		 {"yes"},
		 ERR_CERT,
		 "Offending ED25519 key in ",
		 "h",
		 0},
		{"changed, and all are welcome",
		 "h %2\n",
		 "StrictHostKeyChecking=no",
		 {"yes"},
		 ERR_CERT,
		 "IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!",
		 "h",
		 0},
		{"revoked",
		 "@revoked * %1\n",
		 "StrictHostKeyChecking=no",
		 {"yes"},
		 ERR_CERT,
		 "WARNING: REVOKED HOST KEY DETECTED!",
		 "@",
		 0},
		{"cannot be written",
		 "",
		 "UserKnownHostsFile=/proc/1/x/y",
		 {"yes"},
		 0,
		 "Failed to add the host to the list of known hosts",
		 "",
		 1},
	};
	char why[SECSH_WHY_TEXT], want[300];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *cut = cases[i].said != NULL ? strchr(cases[i].said, '%') : NULL;
		struct secsh_where w;
		int e;

		write_known(cases[i].known);
		find(&w, "h", 22, cases[i].option);
		memcpy(answers, cases[i].answers, sizeof answers);
		e = secsh_known_judge(&w, &asks, NULL, one.key, why);
		snprintf(want, sizeof want, "%s", cases[i].said != NULL ? cases[i].said : "");
		if (cut != NULL)
			snprintf(want, sizeof want, "%.*s%s%s", (int)(cut - cases[i].said),
				 cases[i].said, one.print, cut + 1);
		if (e != cases[i].want || n_asked != cases[i].n_asked ||
		    (cases[i].said == NULL && said[0] != '\0') || strstr(said, want) == NULL ||
		    strstr(secsh_home_read(".ssh/known_hosts"), cases[i].written) == NULL)
			fail_msg("%s: %d %s\n%s%s", cases[i].why, e, why, said, prompts);
		if (e != 0)
			assert_non_null(strstr(why, "Host key verification failed."));
		if (cases[i].n_asked == 0) /* without the question it says which key it was */
			assert_true(prompts[0] == '\0' || strstr(why, one.print) != NULL);
		secsh_where_free(&w);
	}
}

static void test_the_fingerprint_is_an_answer(void **state)
{
	char why[SECSH_WHY_TEXT], want[500];
	struct secsh_where w;

	write_known("");
	find(&w, "h", 2222, NULL);
	answers[0] = other.print;
	answers[1] = one.print;
	answers[2] = NULL;
	assert_int_equal(0, secsh_known_judge(&w, &asks, NULL, one.key, why));
	snprintf(want, sizeof want,
		 "The authenticity of host '[h]:2222' can't be established.\n"
		 "ED25519 key fingerprint is %s.\n"
		 "Are you sure you want to continue connecting (yes/no/[fingerprint])? \n"
		 "Please type 'yes', 'no' or the fingerprint: \n",
		 one.print);
	assert_string_equal(want, prompts);
	assert_non_null(strstr(secsh_home_read(".ssh/known_hosts"), "[h]:2222 ssh-ed25519 "));
	/* what was written is known from now on */
	said[0] = '\0';
	assert_int_equal(0, secsh_known_judge(&w, &asks, NULL, one.key, why));
	assert_string_equal("", said);
	assert_int_equal(ERR_CERT, secsh_known_judge(&w, &asks, NULL, other.key, why));
	secsh_where_free(&w);
}

/* What this process has accepted is known to it, whether it could be written down or not. */
static void test_another_key_than_before(void **state)
{
	static const struct {
		const char *why, *known, *option;
		struct host_key *before;
		int want;
	} cases[] = {
		{"none before", "", "StrictHostKeyChecking=accept-new", NULL, 0},
		{"the same", "", "StrictHostKeyChecking=accept-new", &one, 0},
		{"another one", "", "StrictHostKeyChecking=accept-new", &other, ERR_CERT},
		{"another one, and a person", "", "StrictHostKeyChecking=ask", &other, ERR_CERT},
		{"another one, checking is off", "", "StrictHostKeyChecking=no", &other, 0},
		{"another one that is written down", "h %1\n", "StrictHostKeyChecking=yes", &other,
		 0},
		{"one of another kind", "", "StrictHostKeyChecking=accept-new", &ecdsa, 0},
	};
	char why[SECSH_WHY_TEXT];

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		ssh_key before = cases[i].before != NULL ? cases[i].before->key : NULL;
		struct secsh_where w;

		write_known(cases[i].known);
		find(&w, "h", 22, cases[i].option);
		answers[0] = "yes";
		answers[1] = NULL;
		if (secsh_known_judge(&w, &asks, before, one.key, why) != cases[i].want)
			fail_msg("%s: %s", cases[i].why, why);
		if (cases[i].want != 0)
			assert_non_null(strstr(why, "is not the one that was accepted before"));
		secsh_where_free(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_the_files_say),
		cmocka_unit_test(test_a_hashed_name),
		cmocka_unit_test(test_several_files),
		cmocka_unit_test(test_a_long_line),
		cmocka_unit_test(test_what_is_asked_for),
		cmocka_unit_test(test_the_talk),
		cmocka_unit_test(test_the_fingerprint_is_an_answer),
		cmocka_unit_test(test_another_key_than_before),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
