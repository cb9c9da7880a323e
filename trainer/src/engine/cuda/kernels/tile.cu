// A tile of points through mapping and all layers, to the loss, and back.
//
// What layers leave behind lies [width, TILE], points side by side: the forward product and that of the gradient of
// inputs read it as it is, the one of the gradient of weights transposes it on the way.

constexpr int WIDEST = padded(HIDDEN) > padded(OUTPUTS) ? padded(HIDDEN) : padded(OUTPUTS);

// Rows of what a tile keeps, part by part.
constexpr int FEATURE_ROWS = padded(FEATURES);
constexpr int ENCODER_ROWS = padded(HIDDEN) * (slope_from_value(GATE_ACTIVATION) ? 1 : 2);
constexpr int LAYER_ROWS = padded(HIDDEN) * (1 + GATE + (slope_from_value(ACTIVATION) ? 0 : 1));
constexpr int ENCODERS_AT = FEATURE_ROWS;
constexpr int LAYERS_AT = ENCODERS_AT + ENCODERS * ENCODER_ROWS;
constexpr int GRADIENTS_AT = LAYERS_AT + DEPTH * LAYER_ROWS;
constexpr int ENCODER_GRADIENTS_AT = GRADIENTS_AT + 2 * WIDEST;
constexpr int KEPT_ROWS = ENCODER_GRADIENTS_AT + ENCODERS * padded(HIDDEN);
static_assert(KEPT_ROWS == HOST_KEPT_ROWS && STAGE == HOST_STAGE && DENSE == HOST_DENSE,
              "host and kernels agree on sizes");

// What a layer left behind: what it hands on, its activation where a gate changes that, its slope where that does not
// follow from the value.
struct Kept {
    float *h, *a, *slope;
};

inline float* rows(float* kept, int row) { return kept + row * TILE; }

inline Kept encoder(float* kept, int n)
{
    float* h = rows(kept, ENCODERS_AT + n * ENCODER_ROWS);
    return {h, h, rows(h, padded(HIDDEN))};
}

inline Kept layer(float* kept, int n)
{
    float* h = rows(kept, LAYERS_AT + n * LAYER_ROWS);
    float* a = GATE ? rows(h, padded(HIDDEN)) : h;
    return {h, a, rows(a, padded(HIDDEN))};
}

// Slopes of neighbouring points at an activation's values.
template <int KIND, int W>
inline Row<W> slopes(const Kept& kept, int at)
{
    if (!slope_from_value(KIND))
        return load<W>(kept.slope + at);
    Row<W> y = load<W>(kept.a + at);
    for (int i = 0; i < W; ++i)
        y.v[i] = slope_at<KIND>(y.v[i]);
    return y;
}

// Affine part and activation of a layer of HIDDEN neurons; GATED ones mix the encoders' values.
template <int IN, int KIND, bool GATED>
inline void hidden_forward(const float* dense, const float* x, const Kept& kept, float* all, float* stage)
{
    constexpr int K = padded(IN), M = padded(HIDDEN);
    const float* bias = dense + K * M;
    const float* u = encoder(all, 0).h;
    const float* v = encoder(all, 1).h;
    product<M, TILE, K, false, KEPT_SHARED>(dense, M, x, TILE, stage, [&](int m, int p, auto row) {
        constexpr int W = sizeof(row) / sizeof(float);
        const int at = m * TILE + p;
        Row<W> slope;
        for (int i = 0; i < W; ++i)
            row.v[i] = activate<KIND>(row.v[i] + bias[m], slope.v[i]);
        if (!slope_from_value(KIND))
            store(kept.slope + at, slope);
        if (GATED) {
            store(kept.a + at, row);
            const Row<W> us = load<W>(u + at), vs = load<W>(v + at);
            for (int i = 0; i < W; ++i)
                row.v[i] = vs.v[i] + row.v[i] * (us.v[i] - vs.v[i]);
        }
        store(kept.h + at, row);
    });
}

// From the gradient of a layer's argument to that of the argument of the hidden layer `n` below it, through that one's
// gate and activation.
template <int OUT>
inline void input_gradient(const float* across, const float* dz, float* to, float* all, int n, float* stage)
{
    constexpr int M = padded(HIDDEN), K = padded(OUT);
    const Kept kept = layer(all, n), u = encoder(all, 0), v = encoder(all, 1);
    float* du = rows(all, ENCODER_GRADIENTS_AT);
    float* dv = rows(du, padded(HIDDEN));
    product<M, TILE, K, false, KEPT_SHARED>(across, M, dz, TILE, stage, [&](int m, int p, auto g) {
        constexpr int W = sizeof(g) / sizeof(float);
        const int at = m * TILE + p;
        if (GATE) {
            // h = v + a·(u - v)
            const Row<W> a = load<W>(kept.a + at), us = load<W>(u.h + at), vs = load<W>(v.h + at);
            Row<W> to_u = {}, to_v = {};
            if (n < DEPTH - 1) {
                to_u = load<W>(du + at);
                to_v = load<W>(dv + at);
            }
            for (int i = 0; i < W; ++i) {
                to_u.v[i] += g.v[i] * a.v[i];
                to_v.v[i] += g.v[i] * (1.0f - a.v[i]);
                g.v[i] *= us.v[i] - vs.v[i];
            }
            if (n == 0) {
                // No layer below adds to these: on to the encoders' arguments.
                const Row<W> su = slopes<GATE_ACTIVATION, W>(u, at), sv = slopes<GATE_ACTIVATION, W>(v, at);
                for (int i = 0; i < W; ++i) {
                    to_u.v[i] *= su.v[i];
                    to_v.v[i] *= sv.v[i];
                }
            }
            store(du + at, to_u);
            store(dv + at, to_v);
        }
        const Row<W> slope = slopes<ACTIVATION, W>(kept, at);
        for (int i = 0; i < W; ++i)
            g.v[i] *= slope.v[i];
        store(to + at, g);
    });
}

// What a pass looks at: loaded samples, or points whose cotangents are given, or values alone.
struct Look {
    int mode;
    const float *x, *target;
    const int* indices;
    int points;
    float weight;
    float* values;
};

// The loss of value y at output `m` of point `p`, and its gradient.
inline double pull(const Look& look, int m, int p, float y, float& dy)
{
    const size_t at = (size_t)p * OUTPUTS + m;
    if (look.mode == VALUES) {
        look.values[at] = y;
        return 0.0;
    }
    if (look.mode == COTANGENTS) {
        dy = look.weight * look.target[at];
        return 0.0;
    }
    const float t = look.target[(size_t)sample(look.indices, p) * OUTPUTS + m];
    if (look.mode == SQUARED_ERROR) {
        const float error = y - t;
        dy = 2.0f * look.weight * error;
        return (double)error * (double)error;
    }
    // With e = exp(-|z|), of which neither part overflows: the loss is max(z, 0) - z·t + ln(1 + e), its slope
    // sigmoid(z) - t.
    const float e = expf(-fabsf(y));
    dy = look.weight * ((y > 0.0f ? 1.0f : e) / (1.0f + e) - t);
    return (double)(fmaxf(y, 0.0f) - y * t) + (double)log1pf(e);
}

// The output layer, and the gradient of its argument; gives this thread's part of the loss.
inline double output_forward(const Look& look, const float* dense, const float* x, int first, float* dz, float* stage)
{
    constexpr int K = padded(HIDDEN), M = padded(OUTPUTS);
    const float* bias = dense + K * M;
    double loss = 0.0;
    product<M, TILE, K, false, KEPT_SHARED>(dense, M, x, TILE, stage, [&](int m, int p, auto row) {
        constexpr int W = sizeof(row) / sizeof(float);
        for (int i = 0; i < W; ++i) {
            float slope = 0.0f, dy = 0.0f;
            const float y = activate<OUTPUT_ACTIVATION>(row.v[i] + bias[m], slope);
            if (slope_from_value(OUTPUT_ACTIVATION))
                slope = slope_at<OUTPUT_ACTIVATION>(y);
            if (m < OUTPUTS && first + p + i < look.points)
                loss += pull(look, m, first + p + i, y, dy);
            row.v[i] = dy * slope;
        }
        store(dz + m * TILE + p, row);
    });
    return loss;
}

// Blocks take tiles in turn. `room` holds what tiles keep, where that does not fit shared memory; `partial` gets each
// block's gradient of dense layers, `losses` its sum of the loss.
extern "C" __global__ void __launch_bounds__(THREADS, RESIDENT)
    tile(int mode, const float* x, const float* target, const int* indices, const int* step, int points, float weight,
         const float* frequencies, const float* dense, const float* across, float* values, float* room, float* partial,
         double* losses)
{
    SHARED_ROOM(shared);
    float* const stage = shared;
    float* const kept = KEPT_SHARED ? shared + STAGE : room + (size_t)blockIdx.x * KEPT_ROWS * TILE;
    float* const gradient = partial + (size_t)blockIdx.x * DENSE;
    const Look look = {mode, x, target, indices ? indices + (size_t)*step * points : nullptr, points, weight, values};
    double loss = 0.0;
    bool first = true;
#pragma unroll 1
    for (int start = blockIdx.x * TILE; start < points; start += gridDim.x * TILE) {
        features(x, look.indices, start, points, frequencies, stage, kept);
#pragma unroll 1
        for (int n = 0; n < ENCODERS; ++n)
            hidden_forward<FEATURES, GATE_ACTIVATION, false>(dense + dense_at(n), kept, encoder(kept, n), kept, stage);
        hidden_forward<FEATURES, ACTIVATION, GATE>(dense + dense_at(ENCODERS), kept, layer(kept, 0), kept, stage);
#pragma unroll 1
        for (int n = 1; n < DEPTH; ++n)
            hidden_forward<HIDDEN, ACTIVATION, GATE>(dense + dense_at(ENCODERS + n), layer(kept, n - 1).h,
                                                     layer(kept, n), kept, stage);
        float* dz = rows(kept, GRADIENTS_AT);
        float* next = rows(dz, WIDEST);
        loss += output_forward(look, dense + dense_at(LAYERS - 1), layer(kept, DEPTH - 1).h, start, dz, stage);
        if (mode == VALUES)
            continue;
        weight_gradient<HIDDEN, OUTPUTS, TILE>(layer(kept, DEPTH - 1).h, dz, gradient + dense_at(LAYERS - 1), first, stage);
        input_gradient<OUTPUTS>(across + dense_at(LAYERS - 1), dz, next, kept, DEPTH - 1, stage);
#pragma unroll 1
        for (int n = DEPTH - 1; n > 0; --n) {
            float* const done = dz;
            dz = next;
            next = done;
            const int at = dense_at(ENCODERS + n);
            weight_gradient<HIDDEN, HIDDEN, TILE>(layer(kept, n - 1).h, dz, gradient + at, first, stage);
            input_gradient<HIDDEN>(across + at, dz, next, kept, n - 1, stage);
        }
        // The first layer and the encoders, whose inputs are the features.
#pragma unroll 1
        for (int n = 0; n <= ENCODERS; ++n) {
            const float* const g = n == ENCODERS ? next : rows(kept, ENCODER_GRADIENTS_AT + n * padded(HIDDEN));
            weight_gradient<FEATURES, HIDDEN, TILE>(kept, g, gradient + dense_at(n), first, stage);
        }
        first = false;
    }
    if (mode != VALUES) {
        const double sum = block_sum(loss, reinterpret_cast<double*>(stage));
        if (threadIdx.x == 0)
            losses[blockIdx.x] = sum;
    }
}
