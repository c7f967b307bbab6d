/* A machine whose clock is AHEAD by so many seconds: loaded before a program, it tells it the time. */
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *time) {
    long result = syscall(SYS_clock_gettime, clock, time);
    if (result == 0 && clock == CLOCK_REALTIME) {
        time->tv_sec += AHEAD;
    }
    return (int)result;
}
