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

#define EMULATED
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

// Turns in which a thread came to a barrier, left one or ended.
static long progress;

// Threads wait until `expected` have come, and all take another turn.
struct Barrier {
    int come = 0, generation = 0;

    void wait(int expected)
    {
        const int mine = generation;
        ++progress;
        if (++come == expected) {
            come = 0;
            ++generation;
        }
        do
            swapcontext(running, &scheduler);
        while (generation == mine);
        ++progress;
    }
};
static Barrier of_block;

inline void barrier() { of_block.wait((int)fibers.size()); }

inline void enter(int thread)
{
    (*body)();
    fibers[thread].done = true;
    ++progress;
    swapcontext(running, &scheduler);
}

// What the lanes of a warp hand to each other.
struct Warp {
    Barrier barrier;
    uint32_t a[32][4], b[32][2];
};
static Warp warps[32];

inline float from_bits(uint32_t bits)
{
    float x;
    std::memcpy(&x, &bits, 4);
    return x;
}

inline uint32_t bits_of(float x)
{
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    return bits;
}

// One half of a register as a number of 8 bits of exponent.
inline float half(uint32_t bits, int upper) { return from_bits(upper ? bits & 0xffff0000u : bits << 16); }

// c += a·b, 16 by 8 sums of DEEP products. Which lane and register holds element (row, k) of a, or (k, column) of b, is
// here the other way round than in the kernels: found from the element.
template <int DEEP>
inline void mma(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
    Warp& warp = warps[threadIdx.x / 32];
    const int lane = threadIdx.x % 32;
    std::memcpy(warp.a[lane], a, sizeof a);
    std::memcpy(warp.b[lane], b, sizeof b);
    warp.barrier.wait(32);
    for (int e = 0; e < 4; ++e) {
        const int row = lane / 4 + e / 2 * 8, column = lane % 4 * 2 + e % 2;
        for (int k = 0; k < DEEP; ++k) {
            const int upper = k >= DEEP / 2, within = k % (DEEP / 2);
            const int place = DEEP == 8 ? within : within / 2;
            const uint32_t left = warp.a[row % 8 * 4 + place][(row >= 8) + 2 * upper];
            const uint32_t right = warp.b[column * 4 + place][upper];
            c[e] += DEEP == 8 ? from_bits(left) * from_bits(right) : half(left, k % 2) * half(right, k % 2);
        }
    }
    warp.barrier.wait(32);
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
    of_block = {};
    for (Warp& warp : warps)
        warp.barrier = {};
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
            const long before = progress;
            int ended = 0;
            for (int i = 0; i < block; ++i) {
                const int t = (unsigned)(first + i * stride) % (unsigned)block;
                if (fibers[t].done)
                    continue;
                threadIdx.x = t;
                running = &fibers[t].context;
                swapcontext(&scheduler, running);
                ended += fibers[t].done;
            }
            // Some threads at a barrier that others never reach hang a GPU.
            if (progress == before)
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

inline unsigned to_tf32(float x) { return (emulator::bits_of(x) + 0x1000u) & 0xffffe000u; }

inline unsigned to_bf16(float low, float high)
{
    const auto round = [](float x) {
        const uint32_t bits = emulator::bits_of(x);
        return (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    };
    return round(low) | round(high) << 16;
}

inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { emulator::mma<8>(c, a, b); }
inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) { emulator::mma<16>(c, a, b); }
