// A matrix product by one block: chunks of both factors go through shared memory, twice buffered, and every thread
// keeps a small square of sums in registers. Exact f32 fused multiply-adds, each sum in the order of k.

// How the threads share a square of sums: each has TM by TN of them.
template <int BM, int BN>
struct Share {
    static constexpr int each = BM * BN > THREADS ? BM * BN / THREADS : 1;
    static constexpr int TN0 = each >= 32 ? 8 : each >= 8 ? 4 : each >= 4 ? 2 : each;
    static constexpr int TN = TN0 < BN ? TN0 : BN;
    static constexpr int TM = each / TN;
    static constexpr int columns = BN / TN;
    static constexpr int rows = BM / TM;
    static_assert(each <= 64 && TM >= 1 && TM <= BM, "a thread's sums fit its registers");
};

// Where a thread's i-th line of T lies in a side of S: fours, so that neighbours read neighbouring fours.
template <int T, int S>
inline int line(int thread, int i)
{
    return T > 4 ? i / 4 * (S / (T / 4)) + 4 * thread + i % 4 : T * thread + i;
}

// T neighbouring lines of a row in shared memory.
template <int T, int S>
inline void lines(const float* row, int thread, float (&out)[T])
{
    constexpr int W = T < 4 ? T : 4;
#pragma unroll
    for (int i = 0; i < T; i += W) {
        const Row<W> some = load<W>(row + line<T, S>(thread, i));
        for (int j = 0; j < W; ++j)
            out[i + j] = some.v[j];
    }
}

// Hands Σ over k of a(k, m)·b(k, n) to `each(m, n, row of neighbouring n)`, for all m < M and n < N. Factors lie
// [K, M] and [K, N], or [M, K] and [N, K] where they are ACROSS; a second factor that is in shared memory already is
// read there (DIRECT). All threads take part, and afterwards what `each` wrote may be read.
template <int M, int N, int K, bool ACROSS, bool DIRECT, class Each>
inline void product(const float* a, int a_stride, const float* b, int b_stride, float* stage, Each each)
{
    constexpr int BM = side(M), BN = side(N), STEP = K < CHUNK ? K : CHUNK;
    using S = Share<BM, BN>;
    constexpr int W = S::TN < 4 ? S::TN : 4;
    // A warp takes 4 by 8 neighbours where there are as many: it reads the fewest different numbers.
    constexpr bool SQUARE = S::rows % 4 == 0 && S::columns % 8 == 0 && S::rows * S::columns >= 32;
    const int t = threadIdx.x, warp = t / 32, lane = t % 32;
    const int r = SQUARE ? warp / (S::columns / 8) * 4 + lane / 8 : t / S::columns;
    const int c = SQUARE ? warp % (S::columns / 8) * 8 + lane % 8 : t % S::columns;
    const bool active = S::rows * S::columns == THREADS || t < S::rows * S::columns;
#pragma unroll 1
    for (int m0 = 0; m0 < M; m0 += BM) {
#pragma unroll 1
        for (int n0 = 0; n0 < N; n0 += BN) {
            float sum[S::TM][S::TN] = {};
            const auto take = [&](const float* a_row, const float* b_row, int b_gap, int k) {
                if (active) {
                    const int steps = K % STEP == 0 ? STEP : K - k < STEP ? K - k : STEP;
#pragma unroll 2
                    for (int s = 0; s < STEP; ++s) {
                        if (K % STEP == 0 || s < steps) {
                            float left[S::TM], right[S::TN];
                            lines<S::TM, BM>(a_row + s * (BM + GAP), r, left);
                            lines<S::TN, BN>(b_row + s * b_gap, c, right);
#pragma unroll
                            for (int i = 0; i < S::TM; ++i)
#pragma unroll
                                for (int j = 0; j < S::TN; ++j)
                                    sum[i][j] = fmaf(left[i], right[j], sum[i][j]);
                        }
                    }
                }
            };
            chunks<BM, BN, M, N, K, ACROSS, DIRECT, STEP>(a, a_stride, b, b_stride, m0, n0, stage, take);
            if (active) {
#pragma unroll
                for (int i = 0; i < S::TM; ++i) {
                    const int m = m0 + line<S::TM, BM>(r, i);
#pragma unroll
                    for (int j = 0; j < S::TN; j += W) {
                        const int n = n0 + line<S::TN, BN>(c, j);
                        if ((M % BM == 0 || m < M) && (N % BN == 0 || n < N)) {
                            Row<W> row;
                            for (int q = 0; q < W; ++q)
                                row.v[q] = sum[i][j + q];
                            each(m, n, row);
                        }
                    }
                }
            }
        }
    }
    __syncthreads();
}
