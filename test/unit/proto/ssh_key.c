/*
 * Public keys as people upload them. The keys, and their fingerprints, are from ssh-keygen; those
 * of security keys and the damaged ones are put together by hand.
 */
#include "proto/ssh_key.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "core/digest.h"

static void test_keys_that_are_taken(void **state)
{
	static const struct {
		const char *why, *text, *type;
		unsigned bits;
		const char *comment, *fingerprint;
	} cases[] = {
		{"Ed25519",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y anna@desk",
		 "ssh-ed25519", 256, "anna@desk",
		 "SHA256:e8KExUpp8GFjQuTvaTAQCXejyI6oplDTWdSVK29D21g"},
		{"the first curve",
		 "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBG"
		 "8LhBcyv6boIBquzlzH4CHh+qe0Yr3QTMTOROIVWXxQjcAiQkTo7uArL2yzMmRJlPCVXCl8jCI/"
		 "2zrYKtFAK4I= anna@desk",
		 "ecdsa-sha2-nistp256", 256, "anna@desk",
		 "SHA256:x+JQFWIGBMdMh0M5RZMa2U9wB9HJhRCneDn8+4RzgsM"},
		{"the second",
		 "ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBL"
		 "vr86cjTXC8Qwrmy9d7qvD8xORBQYuXuWypXVXEP+quauC6QJPkljISDrUoAymp7bQqVpaNY7df"
		 "2B8vCY0/TM53OaP2fbE/2XBnC61Xz6fIY5XFXvsZsy67uNGcfFOynQ== anna@desk",
		 "ecdsa-sha2-nistp384", 384, "anna@desk",
		 "SHA256:nXENGXXyu2QhJhojDh+xshDqfexs1IKCtmY1mu3Qs2s"},
		{"the third",
		 "ecdsa-sha2-nistp521 AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBA"
		 "Bbuah30UQKDazQGlt7wAQNNJPSf4o/xcL2kcb12PPIGrd0HNjGD7c9ZIKjTWxgrVCvBh6YUWK+"
		 "SxUB67G4c6CCzACxobWnZIRM0CSiWSYrNOkiw08swF83tfNw4aa8T7yvvJ4ZaoXsQXAm8O8BzW"
		 "1Wo0w4R2Qo4FM1CW7jGV4Q9Tyj4Q== anna@desk",
		 "ecdsa-sha2-nistp521", 521, "anna@desk",
		 "SHA256:xyyNM4z5xf42pb7ynejV9UOwso6wKCyl1TXA8Wg8/3Y"},
		{"RSA",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDGhvLVA8xQ8NvFoSL2vhE1GW+vNdExmjCpS6"
		 "nyymzfLL+Rhp9mbo5IEv0XhrTJi2tyb3QMVUEuKDxCpbgR0gNUExIXZBkvUv+lIDRdZq84d1P0"
		 "ejLTSSHRv/pb/16xNWW7cATAi0y5f2jvijms5aOm1BpOQfryiGicmarWraU5hZUNySYkKlDjqr"
		 "ekAGNZ0Cs9ojDp+LdZGT2vvAJEY0BMW85Qc/TsMaYwbiP1cL8qPxCDlSMRnH607nkoo7uZcbKg"
		 "4yGgDAPyuVNSU4vzOk+fSM0A0E5gK2E1ntadHinntGegMOxmH935L+iKG4FaH3k6ChttTdYJf0"
		 "s3nmjMSw5x anna@desk",
		 "ssh-rsa", 2048, "anna@desk",
		 "SHA256:fLq+N22bsqMyYUKKVo/dokcv4l+LsBrhYovxFUgO0vQ"},
		{"Ed25519 in a security key",
		 "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDy"
		 "KUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0itaM/yAAAABHNzaDo= stick",
		 "sk-ssh-ed25519@openssh.com", 256, "stick",
		 "SHA256:Jsg86WAt2sKbqxb/R1Pvb7njAOAqmr5/NaNr/abvPm8"},
		{"a curve in a security key",
		 "sk-ecdsa-sha2-nistp256@openssh.com AAAAInNrLWVjZHNhLXNoYTItbmlzdHAyNTZAb3B"
		 "lbnNzaC5jb20AAAAIbmlzdHAyNTYAAABBBG8LhBcyv6boIBquzlzH4CHh+qe0Yr3QTMTOROIVW"
		 "XxQjcAiQkTo7uArL2yzMmRJlPCVXCl8jCI/2zrYKtFAK4IAAAAEc3NoOg==",
		 "sk-ecdsa-sha2-nistp256@openssh.com", 256, "",
		 "SHA256:sR+wYWFKQKOmXATsf5T8RSfJVlvS1am7udwRD7FEJPE"},
		{"spaces and line ends around it",
		 "\r\n  ssh-ed25519\t AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd"
		 "/j/QSSr0itaM/y \r\n",
		 "ssh-ed25519", 256, "", "SHA256:e8KExUpp8GFjQuTvaTAQCXejyI6oplDTWdSVK29D21g"},
		{"a comment of several words",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y anna  at home",
		 "ssh-ed25519", 256, "anna  at home",
		 "SHA256:e8KExUpp8GFjQuTvaTAQCXejyI6oplDTWdSVK29D21g"},
		{"bytes of a comment that nobody should print",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y a\001b\377c\t d",
		 "ssh-ed25519", 256, "a?b?c  d",
		 "SHA256:e8KExUpp8GFjQuTvaTAQCXejyI6oplDTWdSVK29D21g"},
		{"a long comment is cut",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		 "ssh-ed25519", 256,
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		 "SHA256:e8KExUpp8GFjQuTvaTAQCXejyI6oplDTWdSVK29D21g"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char fingerprint[DIGEST_SSH_TEXT];
		const char *why = NULL;
		struct ssh_key key, again;

		print_message("# %s\n", cases[i].why);
		assert_int_equal(ssh_key_parse(str_of(cases[i].text), &key, &why), 0);
		assert_null(why);
		assert_string_equal(key.type, cases[i].type);
		assert_int_equal(key.bits, cases[i].bits);
		assert_string_equal(key.comment, cases[i].comment);
		assert_int_equal(digest_ssh((struct str){(char *)key.blob, key.blob_len},
					    fingerprint),
				 0);
		assert_string_equal(fingerprint, cases[i].fingerprint);
		/* the line is in the one form, and means the same */
		assert_int_equal(ssh_key_parse(str_of(key.line), &again, NULL), 0);
		assert_string_equal(again.line, key.line);
		assert_memory_equal(again.blob, key.blob, key.blob_len);
		assert_true(str_starts(str_of(key.line), str_of(key.type)));
	}
}

static void test_refusals_say_what_to_do(void **state)
{
	static const struct {
		const char *why, *text, *words;
	} cases[] = {
		{"nothing", "", "there is no key"},
		{"only spaces", " \r\n\t", "there is no key"},
		{"a private key of OpenSSH",
		 "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEA\n-----END OPENSS"
		 "H PRIVATE KEY-----\n",
		 "this is a private key; upload the .pub file"},
		{"a private key in PEM", "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n",
		 "this is a private key; upload the .pub file"},
		{"the old form of SSH 1", "SSH PRIVATE KEY FILE FORMAT 1.1\n",
		 "this is a private key; upload the .pub file"},
		{"a private key of PuTTY", "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n",
		 "private key of PuTTY"},
		{"a private key of ssh.com", "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n",
		 "this is a private key"},
		{"a public key of ssh.com", "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n",
		 "ssh-keygen -i -f"},
		{"a public key in PEM", "-----BEGIN PUBLIC KEY-----\nMFkw\n",
		 "ssh-keygen -i -m PKCS8 -f"},
		{"two lines",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y anna@desk\nssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81"
		 "DOiJOPuZjd/j/QSSr0itaM/y anna@desk\n",
		 "more than one line"},
		{"a carriage return between them",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y anna@desk\rssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81"
		 "DOiJOPuZjd/j/QSSr0itaM/y anna@desk",
		 "more than one line"},
		{"options in front",
		 "command=\"x\",no-pty ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoa"
		 "N81DOiJOPuZjd/j/QSSr0itaM/y anna@desk",
		 "stands in front of the key"},
		{"a host in front",
		 "server.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOi"
		 "JOPuZjd/j/QSSr0itaM/y anna@desk",
		 "stands in front of the key"},
		{"DSA", "ssh-dss AAAAB3NzaC1kc3MAAA anna", "DSA keys"},
		{"RSA of 1024 bits",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQCtA9Oe/dlhuFMQkQwkYMfnX5wZp9h12f9xwP"
		 "MNlvTFpNo/szlz9GfjsiiiQ8vCjOf5VDF9xz9y6EDvF2ANXwc7iTnm+rsU71ioZr29HjPy4sZg"
		 "ux37Erdnz0acHLR4cf2YwjKPKebSDP50G4t2uBcOaul3b17uFpQfc5MRJ9eBgw== anna@desk",
		 "too short"},
		{"RSA of 2047 bits",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAEARERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERE=",
		 "too short"},
		{"a certificate", "ssh-ed25519-cert-v01@openssh.com AAAA", "this is a certificate"},
		{"a comment line", "# my key", "a comment, not a key"},
		{"a type nobody knows", "ssh-ed448 AAAA", "type of key is not known"},
		{"another case",
		 "SSH-ED25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/y",
		 "type of key is not known"},
		{"no type",
		 "AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0itaM/y anna",
		 "the type in front of the key is missing"},
		{"no key", "ssh-ed25519", "the key itself is missing"},
		{"not base64", "ssh-ed25519 AAAA*AAA", "it is not base64"},
		{"base64 that was cut",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "ita",
		 "it is not base64"},
		{"a byte short",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM8=",
		 "length is not that of its type"},
		{"a byte more",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM/yeA==",
		 "length is not that of its type"},
		{"a point that is too short",
		 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHzyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0"
		 "itaM8=",
		 "length is not that of its type"},
		{"nothing but a length", "ssh-ed25519 AAAA", "length is not that of its type"},
		{"a length beyond the end", "ssh-ed25519 /////3NzaC1lZDI1NTE5",
		 "length is not that of its type"},
		{"another type inside",
		 "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIDyKUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0itaM"
		 "/y",
		 "of another type than the line says"},
		{"the name of another curve",
		 "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAzODQAAABBBD"
		 "ExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx"
		 "MTExMTExMTE=",
		 "length is not that of its type"},
		{"a compressed point",
		 "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBAj"
		 "ExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTExMTEx"
		 "MTExMTExMTE=",
		 "length is not that of its type"},
		{"a security key without an application",
		 "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDy"
		 "KUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0itaM/y",
		 "length is not that of its type"},
		{"a security key whose application is empty",
		 "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIDy"
		 "KUC+ZRZTIGOqoaN81DOiJOPuZjd/j/QSSr0itaM/yAAAAAA==",
		 "length is not that of its type"},
		{"a negative modulus",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAIARERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERE=",
		 "numbers are malformed"},
		{"a needless zero",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQBAERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERER",
		 "numbers are malformed"},
		{"an exponent of 1",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAABAQAAAQEAgBERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "EREREREQ==",
		 "numbers are malformed"},
		{"an exponent of nothing",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAAAAAABAQCAERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERER",
		 "numbers are malformed"},
		{"bytes behind the modulus",
		 "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCAERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERERER"
		 "ERERERERERAA==",
		 "length is not that of its type"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *why = "";
		struct ssh_key key;

		print_message("# %s\n", cases[i].why);
		assert_int_equal(ssh_key_parse(str_of(cases[i].text), &key, &why), ERR_INVAL);
		if (strstr(why, cases[i].words) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", why, cases[i].words);
		assert_int_equal(ssh_key_parse(str_of(cases[i].text), &key, NULL), ERR_INVAL);
	}
}

/* An RSA key of so many bits, as a line. */
static char *make_rsa(unsigned bits)
{
	static const uint8_t head[] = "\0\0\0\7ssh-rsa\0\0\0\3\1\0\1";
	size_t n = (bits + 7) / 8 + (bits % 8 == 0), at = sizeof head - 1;
	uint8_t *blob = calloc(1, at + 4 + n);
	char *line = malloc(8 + BASE64_TEXT(at + 4 + n));

	memcpy(blob, head, at);
	blob[at + 2] = (uint8_t)(n >> 8);
	blob[at + 3] = (uint8_t)n;
	blob[at + 4 + (bits % 8 == 0)] = (uint8_t)(1 << (bits - 1) % 8);
	memcpy(line, "ssh-rsa ", 8);
	base64_encode(BASE64, blob, at + 4 + n, line + 8);
	free(blob);
	return line;
}

static void test_sizes_of_rsa(void **state)
{
	static const struct {
		const char *why;
		unsigned bits;
		int want;
	} cases[] = {
		{"a bit short", 2047, ERR_INVAL},     {"just enough", 2048, 0},
		{"between two bytes", 3071, 0},	      {"the largest", 16384, 0},
		{"a bit too many", 16385, ERR_INVAL}, {"far too many", 100000, ERR_INVAL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char *line = make_rsa(cases[i].bits);
		struct ssh_key key;

		print_message("# %s\n", cases[i].why);
		assert_int_equal(ssh_key_parse(str_of(line), &key, NULL), cases[i].want);
		if (cases[i].want == 0)
			assert_int_equal(key.bits, cases[i].bits);
		free(line);
	}
}

/* Every cut of a good key is refused, and read to its end only. */
static void test_every_cut_is_refused(void **state)
{
	char *line = make_rsa(2048);
	struct ssh_key key;

	for (size_t n = 0; n < strlen(line); n++) {
		char *part = malloc(n + 1); /* so that a sanitizer sees a byte read too much */

		memcpy(part, line, n);
		assert_int_equal(ssh_key_parse((struct str){part, n}, &key, NULL), ERR_INVAL);
		free(part);
	}
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys_that_are_taken),
		cmocka_unit_test(test_refusals_say_what_to_do),
		cmocka_unit_test(test_sizes_of_rsa),
		cmocka_unit_test(test_every_cut_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
