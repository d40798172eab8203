/* The options of karez, declared once. */
#ifndef KAREZ_APP_KAREZ_OPTIONS_H
#define KAREZ_APP_KAREZ_OPTIONS_H

#include "base/log.h"
#include "config/config.h"
#include "proto/url.h"

/* Where a karezd that was started for trying out listens: tried when no server is named. */
#define KAREZ_GUESSED_SERVER "http://localhost:8080"

/* What karez was told. Texts are NULL where nothing was said; they belong to the struct config. */
struct karez_options {
	char *server;
	char *token, *token_file;
	char *ca_file;
	char *config_dir;
	char *name;
	char *target;
	uint64_t sessions;
	int log_level; /* enum log_level */
	bool quiet, verbose, json, wait;
	bool target_insecure;
};

/* The program for config_load(). */
extern const struct config_program karez_program;

/*
 * The target of a checked TARGET argument.
 *   *bare  set to true if it is only a port.
 */
void karez_options_target(const struct karez_options *set, struct url *out, bool *bare);

#endif
