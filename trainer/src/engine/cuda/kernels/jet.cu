// A tile of jets through mapping and all layers, and back: column r·POINTS + p is row r of the jet of point p.
//
// Rows are the value, the first and where wanted the second Taylor coefficient along every direction, and half the
// Laplacian where that is wanted. An affine layer treats all columns alike, but that its bias goes to values alone; an
// activation mixes the rows of a point. Of a layer its argument is kept, from which the rest is made anew.

constexpr int POINTS = TILE / ROWS;
// Columns behind the last row, which are zero wherever something reads them.
constexpr int LEFT = TILE - ROWS * POINTS;
static_assert(POINTS >= 1, "a tile holds a point");

constexpr int WIDEST = padded(HIDDEN) > padded(OUTPUTS) ? padded(HIDDEN) : padded(OUTPUTS);

// Rows of what a tile keeps, part by part.
constexpr int ARGUMENTS_AT = padded(FEATURES);
constexpr int GRADIENTS_AT = ARGUMENTS_AT + DEPTH * padded(HIDDEN);
constexpr int JETS_AT = GRADIENTS_AT + 2 * WIDEST;
constexpr int KEPT_ROWS = JETS_AT + WIDEST;
static_assert(KEPT_ROWS == HOST_KEPT_ROWS && STAGE == HOST_STAGE && DENSE == HOST_DENSE,
              "host and kernels agree on sizes");

// Row of a direction's first coefficient.
inline int first_row(int direction)
{
    constexpr int all[DIRECTIONS + 1] = {FIRST_ROWS};
    return all[direction];
}

// Highest coefficient along a direction, 1 or 2.
inline int order_of(int direction)
{
    constexpr int all[DIRECTIONS + 1] = {ORDERS};
    return all[direction];
}

// Share of a direction in the Laplacian.
inline float share_of(int direction)
{
    constexpr float all[DIRECTIONS + 1] = {SHARES};
    return all[direction];
}

// An activation's value and derivatives.
struct Curve {
    float v, d1, d2, d3;
};

// tanh, whose derivatives follow from its value.
inline Curve tanh_curve(float t)
{
    const float d1 = 1.0f - t * t, d2 = -2.0f * t * d1;
    return {t, d1, d2, -2.0f * (d1 * d1 + t * d2)};
}

// z·f(z)
inline Curve times_argument(float z, Curve f)
{
    return {z * f.v, f.v + z * f.d1, 2.0f * f.d1 + z * f.d2, 3.0f * f.d2 + z * f.d3};
}

inline Curve sigmoid_curve(float z)
{
    const float s = 1.0f / (1.0f + expf(-z));
    const float d1 = s * (1.0f - s), d2 = d1 * (1.0f - 2.0f * s);
    return {s, d1, d2, d2 * (1.0f - 2.0f * s) - 2.0f * d1 * d1};
}

// sin(2πz), or cos(2πz), which is a quarter of a turn ahead.
inline Curve wave_curve(float sine, float cosine)
{
    return {sine, TAU * cosine, -TAU * TAU * sine, -TAU * TAU * TAU * cosine};
}

template <int KIND>
inline Curve curve(float z)
{
    if (KIND == RELU)
        return z > 0.0f ? Curve{z, 1.0f, 0.0f, 0.0f} : Curve{0.0f, 0.0f, 0.0f, 0.0f};
    if (KIND == TANH)
        return tanh_curve(tanhf(z));
    if (KIND == SIGMOID)
        return sigmoid_curve(z);
    if (KIND == SINE) {
        float sine, cosine;
        sincospif(2.0f * z, &sine, &cosine);
        return wave_curve(sine, cosine);
    }
    if (KIND == SWISH)
        return times_argument(z, sigmoid_curve(z));
    if (KIND == GELU) {
        constexpr float K = 0.7978845608f, C = 0.044715f;
        const float q1 = K * (1.0f + 3.0f * C * z * z), q2 = 6.0f * K * C * z, q3 = 6.0f * K * C;
        const Curve t = tanh_curve(tanhf(K * (z + C * z * z * z)));
        const Curve half = {0.5f * (1.0f + t.v), 0.5f * t.d1 * q1, 0.5f * (t.d2 * q1 * q1 + t.d1 * q2),
                            0.5f * (t.d3 * q1 * q1 * q1 + 3.0f * t.d2 * q1 * q2 + t.d1 * q3)};
        return times_argument(z, half);
    }
    return {z, 1.0f, 0.0f, 0.0f};
}

// The jet h of f(z) from that of z, whose rows are a STRIDE apart (Faà di Bruno to the second order).
template <int STRIDE>
inline void mix(const Curve& f, const float* z, float* h)
{
    float squares = 0.0f;
#pragma unroll
    for (int d = 0; d < DIRECTIONS; ++d) {
        const int at = first_row(d) * STRIDE;
        const float z1 = z[at];
        squares += share_of(d) * z1 * z1;
        h[at] = f.d1 * z1;
        if (order_of(d) == 2)
            h[at + STRIDE] = f.d1 * z[at + STRIDE] + 0.5f * f.d2 * z1 * z1;
    }
    if (LAPLACIAN) {
        const int at = (ROWS - 1) * STRIDE;
        h[at] = f.d1 * z[at] + 0.5f * f.d2 * squares;
    }
    h[0] = f.v;
}

// From the gradient g of the jet of f(z) to that of the jet of z, in place.
template <int STRIDE>
inline void mix_back(const Curve& f, const float* z, float* g)
{
    constexpr int LAST = (ROWS - 1) * STRIDE;
    const float by_laplacian = LAPLACIAN ? g[LAST] : 0.0f;
    float by_value = g[0] * f.d1, squares = 0.0f;
#pragma unroll
    for (int d = 0; d < DIRECTIONS; ++d) {
        const int at = first_row(d) * STRIDE;
        const float z1 = z[at], g1 = g[at], share = share_of(d);
        squares += share * z1 * z1;
        by_value += g1 * f.d2 * z1;
        float by_first = g1 * f.d1 + by_laplacian * f.d2 * share * z1;
        if (order_of(d) == 2) {
            const float g2 = g[at + STRIDE];
            by_value += g2 * (f.d2 * z[at + STRIDE] + 0.5f * f.d3 * z1 * z1);
            by_first += g2 * f.d2 * z1;
            g[at + STRIDE] = g2 * f.d1;
        }
        g[at] = by_first;
    }
    if (LAPLACIAN) {
        by_value += by_laplacian * (f.d2 * z[LAST] + 0.5f * f.d3 * squares);
        g[LAST] = by_laplacian * f.d1;
    }
    g[0] = by_value;
}

inline float* rows(float* kept, int row) { return kept + row * TILE; }

// Nothing in the columns that no row takes, of `count` lines.
inline void clear_left(float* lines, int count)
{
    for (int i = threadIdx.x; i < count * LEFT; i += THREADS)
        lines[i / (LEFT > 0 ? LEFT : 1) * TILE + ROWS * POINTS + i % (LEFT > 0 ? LEFT : 1)] = 0.0f;
}

// Jets of the features of the points from `first`; points beyond `points` are at the origin. `slopes` holds, a direction
// each, where it goes [INPUTS], and how much every phase grows along it [FREQUENCIES]. `room` has [INPUTS, POINTS].
inline void jet_features(const float* x, int first, int points, const float* frequencies, const float* slopes,
                         float* room, float* out)
{
    for (int i = threadIdx.x; i < INPUTS * POINTS; i += THREADS) {
        const int p = i % POINTS;
        room[i] = first + p < points ? x[(size_t)(first + p) * INPUTS + i / POINTS] : 0.0f;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < RAW * POINTS; i += THREADS) {
        const int m = i / POINTS, p = i % POINTS;
        float* const line = out + m * TILE + p;
        for (int r = 1; r < ROWS; ++r)
            line[r * POINTS] = 0.0f;
        line[0] = room[i];
        for (int d = 0; d < DIRECTIONS; ++d)
            line[first_row(d) * POINTS] = slopes[d * (INPUTS + FREQUENCIES) + m];
    }
    for (int i = threadIdx.x; i < FREQUENCIES * POINTS; i += THREADS) {
        const int f = i / POINTS, p = i % POINTS;
        float turns = frequencies[INPUTS * FREQUENCIES + f];
        for (int c = 0; c < INPUTS; ++c)
            turns = fmaf(room[c * POINTS + p], frequencies[c * FREQUENCIES + f], turns);
        float phase[ROWS] = {turns};
        for (int d = 0; d < DIRECTIONS; ++d)
            phase[first_row(d)] = slopes[d * (INPUTS + FREQUENCIES) + INPUTS + f];
        float sine, cosine, wave[ROWS];
        sincospif(2.0f * turns, &sine, &cosine);
        mix<1>(wave_curve(sine, cosine), phase, wave);
        for (int r = 0; r < ROWS; ++r)
            out[(RAW + f) * TILE + r * POINTS + p] = wave[r];
        mix<1>(wave_curve(cosine, -sine), phase, wave);
        for (int r = 0; r < ROWS; ++r)
            out[(RAW + FREQUENCIES + f) * TILE + r * POINTS + p] = wave[r];
    }
    for (int i = FEATURES * TILE + threadIdx.x; i < padded(FEATURES) * TILE; i += THREADS)
        out[i] = 0.0f;
    __syncthreads();
}

// The argument z of a layer from the jets x of what goes into it.
template <int IN, int OUT>
inline void affine(const float* dense, const float* x, float* z, float* stage)
{
    constexpr int K = padded(IN), M = padded(OUT);
    const float* bias = dense + K * M;
    product<M, TILE, K, false, KEPT_SHARED>(dense, M, x, TILE, stage, [&](int m, int p, auto row) {
        constexpr int W = sizeof(row) / sizeof(float);
        for (int i = 0; i < W; ++i)
            row.v[i] += p + i < POINTS ? bias[m] : 0.0f;
        store(z + m * TILE + p, row);
    });
}

// Jets of a hidden layer's activations from those of their arguments.
inline void hidden_jets(const float* z, float* h)
{
    for (int i = threadIdx.x; i < padded(HIDDEN) * POINTS; i += THREADS) {
        const int at = i / POINTS * TILE + i % POINTS;
        mix<POINTS>(curve<ACTIVATION>(z[at]), z + at, h + at);
    }
    __syncthreads();
}

// From the gradient of a layer's argument to that of the argument z of the hidden layer below it.
template <int OUT>
inline void input_gradient(const float* across, const float* dz, float* to, const float* z, float* stage)
{
    constexpr int M = padded(HIDDEN), K = padded(OUT);
    product<M, TILE, K, false, KEPT_SHARED>(across, M, dz, TILE, stage,
                                            [&](int m, int p, auto row) { store(to + m * TILE + p, row); });
    for (int i = threadIdx.x; i < M * POINTS; i += THREADS) {
        const int at = i / POINTS * TILE + i % POINTS;
        mix_back<POINTS>(curve<ACTIVATION>(z[at]), z + at, to + at);
    }
    __syncthreads();
}

// The jets of the outputs go to `values` [ROWS, points, OUTPUTS], or their gradient times `weight` comes from
// `cotangents`, which is alike, and becomes that of the argument z, in place.
inline void outputs(float* z, int first, int points, float weight, const float* cotangents, float* values)
{
    for (int i = threadIdx.x; i < padded(OUTPUTS) * POINTS; i += THREADS) {
        const int m = i / POINTS, p = i % POINTS;
        float* const line = z + m * TILE + p;
        const bool inside = m < OUTPUTS && first + p < points;
        const size_t at = (size_t)(first + p) * OUTPUTS + m, gap = (size_t)points * OUTPUTS;
        const Curve f = curve<OUTPUT_ACTIVATION>(line[0]);
        float argument[ROWS], jet[ROWS];
        for (int r = 0; r < ROWS; ++r)
            argument[r] = line[r * POINTS];
        if (cotangents) {
            for (int r = 0; r < ROWS; ++r)
                jet[r] = inside ? weight * cotangents[r * gap + at] : 0.0f;
            mix_back<1>(f, argument, jet);
            for (int r = 0; r < ROWS; ++r)
                line[r * POINTS] = jet[r];
        } else if (inside) {
            mix<1>(f, argument, jet);
            for (int r = 0; r < ROWS; ++r)
                values[r * gap + at] = jet[r];
        }
    }
    __syncthreads();
}

// Blocks take tiles in turn: without `cotangents` for the jets of the outputs, else for each block's gradient of dense
// layers, which goes to `partial`. `room` holds what tiles keep, where that does not fit shared memory.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    jet(const float* x, int points, float weight, const float* cotangents, float* values, const float* frequencies,
        const float* slopes, const float* dense, const float* across, float* room, float* partial)
{
    SHARED_ROOM(shared);
    float* const stage = shared;
    float* const kept = KEPT_SHARED ? shared + STAGE : room + (size_t)blockIdx.x * KEPT_ROWS * TILE;
    float* const gradient = partial + (size_t)blockIdx.x * DENSE;
    float* const h = rows(kept, JETS_AT);
    clear_left(kept, KEPT_ROWS);
    bool first = true;
#pragma unroll 1
    for (int start = blockIdx.x * POINTS; start < points; start += gridDim.x * POINTS) {
        jet_features(x, start, points, frequencies, slopes, stage, kept);
        const auto argument = [&](int n) { return rows(kept, ARGUMENTS_AT + n * padded(HIDDEN)); };
        affine<FEATURES, HIDDEN>(dense + dense_at(0), kept, argument(0), stage);
        hidden_jets(argument(0), h);
#pragma unroll 1
        for (int n = 1; n < DEPTH; ++n) {
            affine<HIDDEN, HIDDEN>(dense + dense_at(n), h, argument(n), stage);
            hidden_jets(argument(n), h);
        }
        float* dz = rows(kept, GRADIENTS_AT);
        float* next = rows(dz, WIDEST);
        affine<HIDDEN, OUTPUTS>(dense + dense_at(DEPTH), h, dz, stage);
        outputs(dz, start, points, weight, cotangents, values);
        if (!cotangents)
            continue;
        weight_gradient<HIDDEN, OUTPUTS, POINTS>(h, dz, gradient + dense_at(DEPTH), first, stage);
        input_gradient<OUTPUTS>(across + dense_at(DEPTH), dz, next, argument(DEPTH - 1), stage);
#pragma unroll 1
        for (int n = DEPTH - 1; n > 0; --n) {
            float* const done = dz;
            dz = next;
            next = done;
            hidden_jets(argument(n - 1), h);
            weight_gradient<HIDDEN, HIDDEN, POINTS>(h, dz, gradient + dense_at(n), first, stage);
            input_gradient<HIDDEN>(across + dense_at(n), dz, next, argument(n - 1), stage);
        }
        weight_gradient<FEATURES, HIDDEN, POINTS>(kept, next, gradient + dense_at(0), first, stage);
        first = false;
    }
}
