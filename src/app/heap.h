/* Memory that is given back and asked for again in the next moment. */
#ifndef KAREZ_APP_HEAP_H
#define KAREZ_APP_HEAP_H

/*
 * What bulk lets go stays with the process: a buffer of up to HEAP_BLOCK bytes comes from its heap,
 * of which HEAP_SPARE bytes at most are kept when they are free. Otherwise the kernel has to find,
 * and to clear, a page for nearly every one that is carried.
 */
#define HEAP_BLOCK (4 * 1024 * 1024)
#define HEAP_SPARE (16 * 1024 * 1024)

void heap_keep(void);

#endif
