// A GPU on the host, for tests: the threads of a block are fibers that take turns between barriers, in another order
// every time, so that a missing barrier shows. Shared memory starts as NaN and ends in a fence.

#include <ucontext.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#define __global__
#define __shared__ static
#define __launch_bounds__(...)
#define SHARED_ROOM(name) float* const name = emulator::shared
#define __syncthreads() emulator::barrier()

struct Index {
    int x;
};
static Index threadIdx, blockIdx, gridDim;

inline void sincospif(float x, float* sine, float* cosine)
{
    const double turn = 3.14159265358979323846 * ((double)x - 2.0 * std::nearbyint((double)x / 2.0));
    *sine = (float)std::sin(turn);
    *cosine = (float)std::cos(turn);
}

using std::size_t;

namespace emulator {

constexpr size_t STACK = 64 * 1024;
constexpr uint32_t FENCE = 0x7fc0dead;

static float* shared;
static ucontext_t scheduler;
static ucontext_t* running;
static const std::function<void()>* body;

struct Fiber {
    ucontext_t context;
    std::vector<char> stack;
    bool done;
};
static std::vector<Fiber> fibers;

inline void barrier() { swapcontext(running, &scheduler); }

inline void enter(int thread)
{
    (*body)();
    fibers[thread].done = true;
    swapcontext(running, &scheduler);
}

// Runs all threads of all blocks; gives 0, or what went wrong.
inline int run(const std::function<void()>& kernel, int grid, int block, int shared_bytes)
{
    const size_t words = shared_bytes / 4;
    std::vector<float> memory(words + 8);
    shared = memory.data();
    while ((uintptr_t)shared % 16 != 0)
        ++shared;
    body = &kernel;
    gridDim.x = grid;
    fibers.resize(block);
    uint32_t random = 1;
    for (blockIdx.x = 0; blockIdx.x < grid; ++blockIdx.x) {
        std::memset(shared, 0xff, 4 * words);
        std::memcpy(shared + words, &FENCE, 4);
        for (int t = 0; t < block; ++t) {
            Fiber& fiber = fibers[t];
            fiber.stack.resize(STACK);
            fiber.done = false;
            getcontext(&fiber.context);
            fiber.context.uc_stack.ss_sp = fiber.stack.data();
            fiber.context.uc_stack.ss_size = STACK;
            fiber.context.uc_link = nullptr;
            makecontext(&fiber.context, (void (*)())enter, 1, t);
        }
        for (int left = block; left > 0;) {
            random = random * 1664525u + 1013904223u;
            // Any odd step meets every thread of a power of two once.
            const int first = random >> 8, stride = (random >> 4) | 1;
            int ended = 0;
            for (int i = 0; i < block; ++i) {
                const int t = (unsigned)(first + i * stride) % (unsigned)block;
                threadIdx.x = t;
                running = &fibers[t].context;
                swapcontext(&scheduler, running);
                ended += fibers[t].done;
            }
            // Some threads at a barrier that others never reach hang a GPU.
            if (ended != 0 && ended != left)
                return 1;
            left -= ended;
        }
        uint32_t fence;
        std::memcpy(&fence, shared + words, 4);
        if (fence != FENCE)
            return 2;
    }
    return 0;
}

template <class... Args, size_t... I>
inline int call(void (*kernel)(Args...), void** args, int grid, int block, int shared_bytes, std::index_sequence<I...>)
{
    return run([&] { kernel(*static_cast<Args*>(args[I])...); }, grid, block, shared_bytes);
}

template <class... Args>
inline int call(void (*kernel)(Args...), void** args, int grid, int block, int shared_bytes)
{
    return call(kernel, args, grid, block, shared_bytes, std::index_sequence_for<Args...>{});
}

} // namespace emulator
