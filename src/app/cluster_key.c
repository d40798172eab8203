/* A secret that everybody could read would be none, and one that is short can be guessed. */
#include "app/cluster_key.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "core/digest.h"

/* Modes of the file that will not do: the group may read it, as service managers have it. */
#define MODE_WRONG (S_IWGRP | S_IRWXO)

static int cluster_key_fail(const char *path, int e, const char *what, char *why)
{
	str_printf(why, CLUSTER_KEY_WHY, "--cluster-key-file: the file %s %s", path, what);
	return e;
}

static bool cluster_key_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Opens, judges and reads. */
static int cluster_key_slurp(const char *path, char *text, ssize_t *len, char *why)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char what[120];
	struct stat st;
	int e = 0;

	*len = -1;
	if (fd < 0 || fstat(fd, &st) != 0 ||
	    (S_ISREG(st.st_mode) && (*len = read(fd, text, CLUSTER_KEY_SECRET_MAX + 1)) < 0)) {
		str_printf(what, sizeof what, "cannot be read: %s", strerror(errno));
		e = cluster_key_fail(path, ERR_IO, what, why);
	} else if (!S_ISREG(st.st_mode)) {
		e = cluster_key_fail(path, ERR_IO, "cannot be read: it is not a file", why);
	} else if ((st.st_mode & MODE_WRONG) != 0) {
		str_printf(what, sizeof what,
			   "is open to others (mode %04o): make it the secret of its owner by "
			   "chmod 600",
			   (unsigned)(st.st_mode & 07777));
		e = cluster_key_fail(path, ERR_DENIED, what, why);
	}
	if (fd >= 0)
		close(fd);
	return e;
}

static int cluster_key_hash(struct str secret, uint8_t *out)
{
	static const uint8_t label[DIGEST_LEN] = "karez: the key of a cluster";
	char hex[DIGEST_HEX_TEXT];

	if (digest_keyed(label, secret, hex) != 0)
		return ERR_NOMEM;
	for (size_t i = 0; i < CLUSTER_KEY_LEN; i++) {
		char high = hex[2 * i], low = hex[2 * i + 1];

		high = (char)(high <= '9' ? high - '0' : high - 'a' + 10);
		low = (char)(low <= '9' ? low - '0' : low - 'a' + 10);
		out[i] = (uint8_t)(high << 4 | low);
	}
	explicit_bzero(hex, sizeof hex);
	return 0;
}

_Static_assert(CLUSTER_KEY_LEN == DIGEST_LEN, "a key is a hash");

int cluster_key_read(const char *path, uint8_t *out, char *why)
{
	char text[CLUSTER_KEY_SECRET_MAX + 1];
	ssize_t len;
	int e = cluster_key_slurp(path, text, &len, why);

	if (e == 0 && len > CLUSTER_KEY_SECRET_MAX)
		e = cluster_key_fail(path, ERR_TOOBIG, "is too long for a secret", why);
	while (e == 0 && len > 0 && cluster_key_is_space(text[len - 1]))
		len--;
	if (e == 0 && len < CLUSTER_KEY_SECRET_MIN)
		e = cluster_key_fail(path, ERR_INVAL,
				     "is too short: at least 32 bytes are needed, such as "
				     "\"openssl rand -hex 32\" writes",
				     why);
	if (e == 0 && (e = cluster_key_hash((struct str){text, (size_t)len}, out)) != 0)
		e = cluster_key_fail(path, e, "cannot be hashed: out of memory", why);
	explicit_bzero(text, sizeof text);
	return e;
}
