/* Descriptors: every visitor and every target is one. */
#ifndef KAREZ_APP_NOFILE_H
#define KAREZ_APP_NOFILE_H

/* Take as many as the system gives this process. */
void nofile_raise(void);

#endif
