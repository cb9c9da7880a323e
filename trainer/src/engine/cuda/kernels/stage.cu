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
