// How chunks of a product's factors come into shared memory, twice buffered.

// Rows of a chunk.
constexpr int CHUNK = 16;
// Between rows of a chunk in shared memory, so that transposing does not meet the same banks.
constexpr int GAP = 4;

// Side of the squares an extent is cut into: a power of two, or what wastes least.
constexpr int side(int n)
{
    if (n <= 128) {
        int s = 4;
        while (s < n)
            s *= 2;
        return s;
    }
    int best = 128;
    for (int s = 64; s >= 32; s /= 2)
        if ((n + s - 1) / s * s < (n + best - 1) / best * best)
            best = s;
    return best;
}

// One factor's way into shared memory, [CHUNK, S + GAP]. It lies [K, EXTENT], or [EXTENT, K] where it is ACROSS.
template <int S, int EXTENT, int K, bool ACROSS>
struct Stage {
    static constexpr int quads = CHUNK * S / 4;
    static constexpr int each = (quads + THREADS - 1) / THREADS;
    Row<4> held[each];

    void fetch(const float* from, int stride, int first, int k)
    {
#pragma unroll
        for (int e = 0; e < each; ++e) {
            const int q = threadIdx.x + e * THREADS;
            const int m = ACROSS ? q / (CHUNK / 4) : q % (S / 4) * 4;
            const int c = ACROSS ? q % (CHUNK / 4) * 4 : q / (S / 4);
            const bool inside = q < quads && first + m < EXTENT && k + c < K;
            const float* at = from + (ACROSS ? (first + m) * stride + k + c : (k + c) * stride + first + m);
            held[e] = inside ? load<4>(at) : Row<4>{};
        }
    }

    void put(float* room) const
    {
#pragma unroll
        for (int e = 0; e < each; ++e) {
            const int q = threadIdx.x + e * THREADS;
            if (q < quads) {
                if (ACROSS) {
                    const int m = q / (CHUNK / 4), c = q % (CHUNK / 4) * 4;
                    for (int i = 0; i < 4; ++i)
                        room[(c + i) * (S + GAP) + m] = held[e].v[i];
                } else {
                    store(room + q / (S / 4) * (S + GAP) + q % (S / 4) * 4, held[e]);
                }
            }
        }
    }
};

// Floats of shared memory a product takes at most.
constexpr int STAGE = 2 * CHUNK * 2 * (128 + GAP);

// Takes both factors of sums m0.., n0.. through shared memory chunk by chunk, twice buffered, and hands `each` the chunk's
// rows, how far those of the second are apart, and the chunk's first k. Rows from K on are zero, but for those of a
// second factor that is read in place. All threads take part.
template <int BM, int BN, int M, int N, int K, bool ACROSS, bool DIRECT, int STEP, class Each>
inline void chunks(const float* a, int a_stride, const float* b, int b_stride, int m0, int n0, float* stage, Each each)
{
    constexpr int A_ROOM = CHUNK * (BM + GAP), B_ROOM = CHUNK * (BN + GAP);
    static_assert(2 * (A_ROOM + B_ROOM) <= STAGE, "chunks fit");
    static_assert(M % 4 == 0 && N % 4 == 0 && K % 4 == 0, "widths are padded");
    float* const b_stage = stage + 2 * A_ROOM;
    Stage<BM, M, K, ACROSS> a_way;
    Stage<BN, N, K, ACROSS> b_way;
    a_way.fetch(a, a_stride, m0, 0);
    a_way.put(stage);
    if (!DIRECT) {
        b_way.fetch(b, b_stride, n0, 0);
        b_way.put(b_stage);
    }
    __syncthreads();
    int now = 0;
#pragma unroll 1
    for (int k = 0; k < K; k += STEP) {
        const bool more = k + STEP < K;
        if (more) {
            a_way.fetch(a, a_stride, m0, k + STEP);
            if (!DIRECT)
                b_way.fetch(b, b_stride, n0, k + STEP);
        }
        each(stage + now * A_ROOM, DIRECT ? b + k * b_stride + n0 : b_stage + now * B_ROOM, DIRECT ? b_stride : BN + GAP, k);
        now ^= 1;
        if (more) {
            a_way.put(stage + now * A_ROOM);
            if (!DIRECT)
                b_way.put(b_stage + now * B_ROOM);
        }
        __syncthreads();
    }
}
