// From what tiles leave behind to gradients of dense layers.

// Gradient of a layer's weights over all columns of a tile, and of its biases over the first BIASED, added to what the
// block has gathered.
template <int IN, int OUT, int BIASED>
inline void weight_gradient(const float* x, const float* dz, float* gradient, bool first, float* stage)
{
    constexpr int M = padded(IN), N = padded(OUT);
    product<M, N, TILE, true, false>(x, TILE, dz, TILE, stage, [&](int m, int n, auto row) {
        constexpr int W = sizeof(row) / sizeof(float);
        float* at = gradient + m * N + n;
        if (!first) {
            const Row<W> before = load<W>(at);
            for (int i = 0; i < W; ++i)
                row.v[i] += before.v[i];
        }
        store(at, row);
    });
    // Eight threads a row of biases.
    constexpr int PER = 8, AT_ONCE = THREADS / PER;
    const int part = threadIdx.x % PER;
#pragma unroll 1
    for (int o0 = 0; o0 < N; o0 += AT_ONCE) {
        const int o = o0 + threadIdx.x / PER;
        float sum = 0.0f;
        if (o < N)
            for (int p = 4 * part; p < BIASED; p += 4 * PER) {
                Row<4> some = load<4>(dz + o * TILE + p);
                if (BIASED % 4 != 0)
                    for (int i = 0; i < 4; ++i)
                        some.v[i] = p + i < BIASED ? some.v[i] : 0.0f;
                sum += (some.v[0] + some.v[1]) + (some.v[2] + some.v[3]);
            }
        stage[threadIdx.x] = sum;
        __syncthreads();
        if (part == 0 && o < N) {
            for (int i = 1; i < PER; ++i)
                sum += stage[threadIdx.x + i];
            float* at = gradient + M * N + o;
            *at = first ? sum : *at + sum;
        }
        __syncthreads();
    }
}
