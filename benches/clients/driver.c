/* The C client under the load of `cargo bench --bench clients`. Built by the bench, against libzookeeper_mt.
 *
 *   driver HOST:PORT load get|set NODES IN_FLIGHT    reads a number per line, does so many operations, and says
 *                                                    "NANOSECONDS OF-CPU SUCCEEDED"
 *   driver HOST:PORT clients N                       what N idle sessions add to the resident memory, in bytes each
 *   driver HOST:PORT watches N                       the same of N watches on nodes that are not there
 *
 * A completion sends the next request: of all ways to use this library the one with the fewest threads to wake.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

enum { SIZE = 1024, TIMEOUT_MS = 30000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long connected, finished, failed;

static zhandle_t *handle;
static int is_set, nodes;
static char value[SIZE];
static atomic_long unsent;

static void die(const char *why) {
    fprintf(stderr, "driver.c: %s\n", why);
    exit(1);
}

static void on_session(zhandle_t *of, int type, int state, const char *path, void *context) {
    (void)of, (void)path, (void)context;
    if (type == ZOO_SESSION_EVENT && state == ZOO_CONNECTED_STATE) {
        pthread_mutex_lock(&lock);
        connected++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
}

static zhandle_t *open_session(const char *host) {
    zhandle_t *opened = zookeeper_init(host, on_session, TIMEOUT_MS, NULL, NULL, 0);
    if (!opened) die("no handle");
    return opened;
}

static void wait_for(const long *count, long goal) {
    pthread_mutex_lock(&lock);
    while (*count < goal) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
}

static void count(int succeeded) {
    pthread_mutex_lock(&lock);
    finished++;
    failed += !succeeded;
    pthread_cond_signal(&changed);
    pthread_mutex_unlock(&lock);
}

static void send_next(void);

static void on_data(int rc, const char *data, int len, const struct Stat *stat, const void *context) {
    (void)data, (void)stat, (void)context;
    send_next();
    count(rc == ZOK && len == SIZE);
}

static void on_stat(int rc, const struct Stat *stat, const void *context) {
    (void)stat, (void)context;
    send_next();
    count(rc == ZOK);
}

static void send_next(void) {
    long left = atomic_fetch_sub(&unsent, 1);
    if (left <= 0) return;
    char path[64];
    snprintf(path, sizeof path, "/bench/n%ld", left % nodes);
    int rc = is_set ? zoo_aset(handle, path, value, SIZE, -1, on_stat, NULL)
                    : zoo_aget(handle, path, 0, on_data, NULL);
    if (rc != ZOK) count(0);
}

static long long nanos(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void load(long in_flight) {
    char line[64];
    printf("ready\n");
    while (fgets(line, sizeof line, stdin)) {
        long operations = atol(line);
        finished = failed = 0;
        atomic_store(&unsent, operations);
        long long began = nanos(CLOCK_MONOTONIC), used = nanos(CLOCK_PROCESS_CPUTIME_ID);
        for (long i = 0; i < in_flight; i++) send_next();
        wait_for(&finished, operations);
        long long took = nanos(CLOCK_MONOTONIC) - began;
        used = nanos(CLOCK_PROCESS_CPUTIME_ID) - used;
        printf("%lld %lld %ld\n", took, used, operations - failed);
    }
}

static long resident(void) {
    long size, pages;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2) die("no /proc/self/statm");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void on_watch(zhandle_t *of, int type, int state, const char *path, void *context) {
    (void)of, (void)type, (void)state, (void)path, (void)context;
}

static void on_absent(int rc, const struct Stat *stat, const void *context) {
    (void)stat, (void)context;
    count(rc == ZNONODE);
}

int main(int argc, char **argv) {
    if (argc < 4) die("driver HOST:PORT load|clients|watches ...");
    setvbuf(stdout, NULL, _IOLBF, 0);
    zoo_set_debug_level(ZOO_LOG_LEVEL_ERROR);
    handle = open_session(argv[1]);
    wait_for(&connected, 1);
    if (!strcmp(argv[2], "load") && argc == 6) {
        is_set = !strcmp(argv[3], "set");
        nodes = atoi(argv[4]);
        load(atol(argv[5]));
    } else if (!strcmp(argv[2], "clients")) {
        long before = resident(), n = atol(argv[3]);
        for (long i = 0; i < n; i++) open_session(argv[1]);
        wait_for(&connected, 1 + n);
        printf("%ld\n", (resident() - before) / n);
        _exit(0);
    } else if (!strcmp(argv[2], "watches")) {
        long before = resident(), n = atol(argv[3]);
        for (long i = 0; i < n; i++) {
            char path[64];
            snprintf(path, sizeof path, "/services/number-%06ld", i);
            if (zoo_awexists(handle, path, on_watch, NULL, on_absent, NULL) != ZOK) die("no watch");
        }
        wait_for(&finished, n);
        if (failed) die("a watch failed");
        printf("%ld\n", (resident() - before) / n);
    } else {
        die("what?");
    }
    zookeeper_close(handle);
    return 0;
}
