// What the network is, from the sizes the host defines, and where everything lies.
//
// Widths in memory are multiples of four: what is beyond the true width is zero in weights, so that it adds nothing.

// Shared memory, whose size the launch gives.
#ifndef SHARED_ROOM
#define SHARED_ROOM(name)                \
    extern __shared__ float4 name##_quads[]; \
    float* const name = reinterpret_cast<float*>(name##_quads)
#endif

constexpr int padded(int n) { return (n + 3) / 4 * 4; }

constexpr int ENCODERS = GATE ? 2 : 0;
// Encoders first, the output layer last.
constexpr int LAYERS = ENCODERS + DEPTH + 1;

constexpr int inputs_of(int layer) { return layer <= ENCODERS ? FEATURES : HIDDEN; }
constexpr int outputs_of(int layer) { return layer == LAYERS - 1 ? OUTPUTS : HIDDEN; }

// Dense layers: weights [in, out], then biases [out], padded; gradients alike, transposed weights in the same places.
constexpr int dense_at(int layer)
{
    int at = 0;
    for (int l = 0; l < layer; ++l)
        at += (padded(inputs_of(l)) + 1) * padded(outputs_of(l));
    return at;
}

constexpr int DENSE = dense_at(LAYERS);

// Neighbouring floats that move at once.
template <int N>
struct alignas(4 * N) Row {
    float v[N];
};

template <int N>
inline Row<N> load(const float* from)
{
    return *reinterpret_cast<const Row<N>*>(from);
}

template <int N>
inline void store(float* to, const Row<N>& row)
{
    *reinterpret_cast<Row<N>*>(to) = row;
}
