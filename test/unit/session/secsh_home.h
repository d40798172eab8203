/* A home directory of a test's own, with a .ssh in it. */
#ifndef KAREZ_TEST_SECSH_HOME_H
#define KAREZ_TEST_SECSH_HOME_H

/* For cmocka's groups: HOME is a new directory; it and what is in it go. */
int secsh_home_setup(void **state);
int secsh_home_teardown(void **state);

const char *secsh_home_path(void);

/* Write a file of the home directory, mode 0600. */
void secsh_home_write(const char *name, const char *text);

/* Read one; empty when it is not there. Static, until the next call. */
const char *secsh_home_read(const char *name);

#endif
