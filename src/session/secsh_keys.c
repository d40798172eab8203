/*
 * The host keys, and with them what a server of SSH offers: its algorithms.
 *
 * A key is written beside its place and linked into it, so processes that start together all end
 * with the same one.
 */
#include "session/secsh_keys.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "session/secsh_inside.h"

#define KEY_FILE_MAX (16 * 1024)
#define PATH_TEXT    4096
#define RSA_BITS     3072
/* Keys of clients with fewer bits prove nothing. */
#define RSA_LEAST 2048

static const struct {
	const char *file;
	enum ssh_keytypes_e type;
	int bits;
} kinds[SECSH_KEYS] = {
	{"ssh_host_ed25519_key", SSH_KEYTYPE_ED25519, 0},
	{"ssh_host_rsa_key", SSH_KEYTYPE_RSA, RSA_BITS},
};

struct secsh_keys {
	ssh_bind bind; /* owned, the keys with it */
	struct secsh_host_key shown[SECSH_KEYS];
	char *lines[SECSH_KEYS]; /* owned */
};

/* ---- files ---- */

/* Returns 0, ERR_NOTFOUND, ERR_DENIED, ERR_INVAL, ERR_IO. */
static int keys_read_file(const char *path, char text[KEY_FILE_MAX + 1])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), e = ERR_IO;
	struct stat st;
	size_t len = 0;
	ssize_t n = 0;

	if (fd < 0)
		return errno == ENOENT ? ERR_NOTFOUND : ERR_IO;
	if (fstat(fd, &st) != 0)
		goto out;
	if ((st.st_mode & 077) != 0) {
		e = ERR_DENIED;
		goto out;
	}
	while (len < KEY_FILE_MAX && (n = read(fd, text + len, KEY_FILE_MAX - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	if (n == 0)
		e = 0;
	else if (len == KEY_FILE_MAX)
		e = ERR_INVAL;
out:
	close(fd);
	return e;
}

static int keys_sync_dir(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), e = 0;

	if (fd < 0)
		return ERR_IO;
	if (fsync(fd) != 0)
		e = ERR_IO;
	close(fd);
	return e;
}

/* Put a text where no file is yet. Returns 0, also when somebody else was first; or ERR_IO. */
static int keys_write_file(const char *dir, const char *path, const char *text)
{
	char beside[PATH_TEXT];
	size_t len = strlen(text);
	int fd, e = ERR_IO;

	if (str_printf(beside, sizeof beside, "%s.%ld", path, (long)getpid()) + 1 >= sizeof beside)
		return ERR_IO;
	(void)unlink(beside); /* of a process that had our number and died */
	if ((fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) < 0)
		return ERR_IO;
	if (write(fd, text, len) == (ssize_t)len && fsync(fd) == 0 &&
	    (link(beside, path) == 0 || errno == EEXIST))
		e = keys_sync_dir(dir);
	close(fd);
	(void)unlink(beside);
	return e;
}

static int keys_make(size_t i, const char *dir, const char *path)
{
	ssh_key key = NULL;
	char *text = NULL;
	int e = ERR_NOMEM;

	if (ssh_pki_generate(kinds[i].type, kinds[i].bits, &key) == SSH_OK &&
	    ssh_pki_export_privkey_base64(key, NULL, NULL, NULL, &text) == SSH_OK)
		e = keys_write_file(dir, path, text);
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	ssh_string_free_char(text);
	ssh_key_free(key);
	return e;
}

static int keys_load(size_t i, const char *path, ssh_key *out)
{
	char text[KEY_FILE_MAX + 1];
	ssh_key key = NULL;
	int e;

	if ((e = keys_read_file(path, text)) != 0)
		return e;
	if (ssh_pki_import_privkey_base64(text, NULL, NULL, NULL, &key) != SSH_OK ||
	    ssh_key_type(key) != kinds[i].type) {
		ssh_key_free(key);
		e = ERR_INVAL;
	} else {
		*out = key;
	}
	explicit_bzero(text, sizeof text);
	return e;
}

/* ---- how they are shown ---- */

static int keys_show(struct secsh_keys *k, size_t i, ssh_key key)
{
	struct secsh_host_key *shown = &k->shown[i];
	const char *type = ssh_key_type_to_char(ssh_key_type(key));
	char *b64 = NULL, *print = NULL;
	unsigned char *hash = NULL;
	size_t len, hash_len;
	int e = ERR_NOMEM;

	if (ssh_pki_export_pubkey_base64(key, &b64) != SSH_OK ||
	    ssh_get_publickey_hash(key, SSH_PUBLICKEY_HASH_SHA256, &hash, &hash_len) != SSH_OK ||
	    (print = ssh_get_fingerprint_hash(SSH_PUBLICKEY_HASH_SHA256, hash, hash_len)) == NULL)
		goto out;
	len = strlen(type) + strlen(b64) + 2;
	if ((k->lines[i] = malloc(len)) == NULL)
		goto out;
	(void)str_printf(k->lines[i], len, "%s %s", type, b64);
	shown->line = k->lines[i];
	if ((e = str_copy(shown->type, sizeof shown->type, str_of(type))) == 0)
		e = str_copy(shown->fingerprint, sizeof shown->fingerprint, str_of(print));
out:
	ssh_clean_pubkey_hash(&hash);
	ssh_string_free_char(print);
	ssh_string_free_char(b64);
	return e;
}

/* ---- the whole ---- */

bool secsh_keys_offer(ssh_bind bind)
{
	static const struct {
		enum ssh_bind_options_e option;
		const char *value;
	} offers[] = {
		{SSH_BIND_OPTIONS_BANNER, "karez"},
		{SSH_BIND_OPTIONS_KEY_EXCHANGE, SECSH_KEX},
		{SSH_BIND_OPTIONS_HOSTKEY_ALGORITHMS, SECSH_HOST_KEY_ALGORITHMS},
		{SSH_BIND_OPTIONS_CIPHERS_C_S, SECSH_CIPHERS},
		{SSH_BIND_OPTIONS_CIPHERS_S_C, SECSH_CIPHERS},
		{SSH_BIND_OPTIONS_HMAC_C_S, SECSH_MACS},
		{SSH_BIND_OPTIONS_HMAC_S_C, SECSH_MACS},
	};
	bool process_config = false; /* or it would read what is meant for another server */
	int least = RSA_LEAST;

	if (ssh_bind_options_set(bind, SSH_BIND_OPTIONS_PROCESS_CONFIG, &process_config) != 0 ||
	    ssh_bind_options_set(bind, SSH_BIND_OPTIONS_RSA_MIN_SIZE, &least) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(offers); i++)
		if (ssh_bind_options_set(bind, offers[i].option, offers[i].value) != 0)
			return false;
	return true;
}

static int keys_open_one(struct secsh_keys *k, size_t i, const char *dir, char why[SECSH_WHY_TEXT])
{
	char path[PATH_TEXT];
	ssh_key key = NULL;
	int e = ERR_IO;

	if (str_printf(path, sizeof path, "%s/%s", dir, kinds[i].file) + 1 >= sizeof path)
		e = ERR_TOOBIG;
	else if ((e = keys_load(i, path, &key)) == ERR_NOTFOUND &&
		 (e = keys_make(i, dir, path)) == 0)
		e = keys_load(i, path, &key);
	if (e == ERR_DENIED)
		(void)str_printf(why, SECSH_WHY_TEXT,
				 "%s: others may read this host key: chmod 600 it", path);
	else if (e == ERR_INVAL)
		(void)str_printf(why, SECSH_WHY_TEXT,
				 "%s: not a private key of this kind: move it away, and a new one "
				 "is made",
				 path);
	else if (e != 0)
		(void)str_printf(why, SECSH_WHY_TEXT, "%s: a host key cannot be %s: %s", path,
				 errno == 0 ? "made" : "read or written", err_text(e));
	if (e == 0 && (e = keys_show(k, i, key)) == 0 &&
	    ssh_bind_options_set(k->bind, SSH_BIND_OPTIONS_IMPORT_KEY, key) == 0)
		key = NULL; /* the bind's now */
	else if (e == 0)
		e = ERR_NOMEM;
	ssh_key_free(key);
	return e == ERR_TOOBIG ? ERR_IO : e;
}

int secsh_keys_open(const char *dir, struct secsh_keys **out, char why[SECSH_WHY_TEXT])
{
	struct secsh_keys *k = NULL;
	int e = 0;

	if (!secsh_gcm_is_sound()) {
		(void)str_printf(why, SECSH_WHY_TEXT,
				 "this libssh (%s) takes changed bytes for good ones "
				 "(CVE-2026-59847): update it",
				 ssh_version(0));
		return ERR_UNSUPPORTED;
	}
	(void)str_printf(why, SECSH_WHY_TEXT, "%s", err_text(ERR_NOMEM));
	if ((k = calloc(1, sizeof *k)) == NULL || (k->bind = ssh_bind_new()) == NULL ||
	    !secsh_keys_offer(k->bind)) {
		secsh_keys_free(k);
		return ERR_NOMEM;
	}
	for (size_t i = 0; i < SECSH_KEYS && e == 0; i++)
		e = keys_open_one(k, i, dir, why);
	if (e != 0) {
		secsh_keys_free(k);
		return e;
	}
	why[0] = '\0';
	*out = k;
	return 0;
}

const struct secsh_host_key *secsh_keys_at(const struct secsh_keys *k, size_t i)
{
	CHECK(i < SECSH_KEYS);
	return &k->shown[i];
}

ssh_bind secsh_keys_bind(const struct secsh_keys *k)
{
	return k->bind;
}

void secsh_keys_free(struct secsh_keys *k)
{
	if (k == NULL)
		return;
	ssh_bind_free(k->bind);
	for (size_t i = 0; i < SECSH_KEYS; i++)
		free(k->lines[i]);
	free(k);
}
