// A matrix product by one block on tensor cores: chunks of both factors go through shared memory in f32, as in
// product.cu, and are rounded on their way into registers; sums are f32.
//
// Which lane holds which number of a factor or of the sums: PTX ISA, "Matrix Fragments" of mma.m16n8k8 (.tf32) and
// mma.m16n8k16 (.bf16).

#ifndef EMULATED
// Rounded to nearest, ties away from zero.
inline unsigned to_tf32(float x)
{
    unsigned bits;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(bits) : "f"(x));
    return bits;
}

// Two of them, `low` in the lower half, rounded to nearest, ties to even.
inline unsigned to_bf16(float low, float high)
{
    unsigned bits;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(bits) : "f"(high), "f"(low));
    return bits;
}

inline void mma_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

inline void mma_bf16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#endif

// Rows of a chunk that one instruction takes.
constexpr int DEEP = MATMUL == TF32 ? 8 : 16;

// A lane's numbers of 16 columns and DEEP rows of the first factor; `at(k, m)` gives them.
template <class At>
inline void left_fragment(At at, int group, int place, unsigned (&out)[4])
{
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int m = group + i % 2 * 8;
        if (MATMUL == TF32) {
            out[i] = to_tf32(at(place + i / 2 * 4, m));
        } else {
            const int k = 2 * place + i / 2 * 8;
            out[i] = to_bf16(at(k, m), at(k + 1, m));
        }
    }
}

// The same of 8 columns of the second.
template <class At>
inline void right_fragment(At at, int group, int place, unsigned (&out)[2])
{
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        if (MATMUL == TF32) {
            out[i] = to_tf32(at(place + i * 4, group));
        } else {
            const int k = 2 * place + i * 8;
            out[i] = to_bf16(at(k, group), at(k + 1, group));
        }
    }
}

// As `product` of product.cu, `each` gets rows of two.
template <int M, int N, int K, bool ACROSS, bool DIRECT, class Each>
inline void product(const float* a, int a_stride, const float* b, int b_stride, float* stage, Each each)
{
    constexpr int BM = side(M) < 16 ? 16 : side(M), BN = side(N) < 8 ? 8 : side(N);
    // Squares of 16 by 8 sums, and how warps share them.
    constexpr int DOWN = BM / 16, ALONG = BN / 8, WARPS = THREADS / 32;
    constexpr int SOME = ALONG < 4 ? ALONG : 4;
    constexpr int WARPS_DOWN = DOWN < WARPS / SOME ? DOWN : WARPS / SOME;
    constexpr int WARPS_ALONG = ALONG < WARPS / WARPS_DOWN ? ALONG : WARPS / WARPS_DOWN;
    constexpr int TM = DOWN / WARPS_DOWN, TN = ALONG / WARPS_ALONG;
    static_assert(!DIRECT || N % BN == 0, "what is read in place has whole squares");
    static_assert(TM * TN <= 16, "a lane's sums fit its registers");
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, place = threadIdx.x % 4;
    const int down = warp / WARPS_ALONG * TM * 16, along = warp % WARPS_ALONG * TN * 8;
    const bool active = WARPS_DOWN * WARPS_ALONG == WARPS || warp < WARPS_DOWN * WARPS_ALONG;
#pragma unroll 1
    for (int m0 = 0; m0 < M; m0 += BM) {
#pragma unroll 1
        for (int n0 = 0; n0 < N; n0 += BN) {
            float sum[TM][TN][4] = {};
            const auto take = [&](const float* a_rows, const float* b_rows, int b_gap, int k) {
                if (active) {
#pragma unroll 1
                    for (int s = 0; s < CHUNK; s += DEEP) {
                        unsigned left[TM][4], right[TN][2];
#pragma unroll
                        for (int i = 0; i < TM; ++i)
                            left_fragment([&](int r, int m) { return a_rows[(s + r) * (BM + GAP) + down + i * 16 + m]; },
                                          group, place, left[i]);
#pragma unroll
                        for (int j = 0; j < TN; ++j)
                            right_fragment(
                                [&](int r, int n) {
                                    // Behind the last row in place is something else, which may be no number.
                                    const bool inside = !DIRECT || K % CHUNK == 0 || k + s + r < K;
                                    return inside ? b_rows[(s + r) * b_gap + along + j * 8 + n] : 0.0f;
                                },
                                group, place, right[j]);
#pragma unroll
                        for (int i = 0; i < TM; ++i)
#pragma unroll
                            for (int j = 0; j < TN; ++j) {
                                if (MATMUL == TF32)
                                    mma_tf32(sum[i][j], left[i], right[j]);
                                else
                                    mma_bf16(sum[i][j], left[i], right[j]);
                            }
                    }
                }
            };
            chunks<BM, BN, M, N, K, ACROSS, DIRECT, CHUNK>(a, a_stride, b, b_stride, m0, n0, stage, take);
            if (active) {
#pragma unroll
                for (int i = 0; i < TM; ++i)
#pragma unroll
                    for (int j = 0; j < TN; ++j)
#pragma unroll
                        for (int half = 0; half < 2; ++half) {
                            const int m = m0 + down + i * 16 + group + half * 8, n = n0 + along + j * 8 + 2 * place;
                            if ((M % BM == 0 || m < M) && (N % BN == 0 || n < N))
                                each(m, n, Row<2>{{sum[i][j][2 * half], sum[i][j][2 * half + 1]}});
                        }
            }
        }
    }
    __syncthreads();
}
