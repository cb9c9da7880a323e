// From trained numbers to dense layers, and dense gradients back to trained numbers. A block takes 32 neurons of one
// layer, eight threads to a neuron.

constexpr int NEURONS = 32;
constexpr int PER_NEURON = THREADS / NEURONS;

// The layer and neuron a thread works for.
struct Place {
    int layer, neuron, part;
    bool inside;
};

inline Place place()
{
    int block = blockIdx.x, layer = 0;
    while (block >= (outputs_of(layer) + NEURONS - 1) / NEURONS) {
        block -= (outputs_of(layer) + NEURONS - 1) / NEURONS;
        ++layer;
    }
    const int neuron = block * NEURONS + threadIdx.x % NEURONS;
    return {layer, neuron, (int)threadIdx.x / NEURONS, neuron < outputs_of(layer)};
}

// The sum over the threads of a neuron, for all of them.
inline float neuron_sum(float value, float* room)
{
    room[threadIdx.x] = value;
    __syncthreads();
    float sum = 0.0f;
    for (int part = 0; part < PER_NEURON; ++part)
        sum += room[part * NEURONS + threadIdx.x % NEURONS];
    __syncthreads();
    return sum;
}

// Dense layers and their transposes; keeps what multiplies each neuron's trained weights, gain and all, and their
// length for weight normalization. The step counts on where `advance` is set.
extern "C" __global__ void materialize(const float* trained, float* dense, float* across, float* factor, float* length,
                                       int* step, int advance)
{
    __shared__ float room[THREADS];
    const Place at = place();
    const int in = inputs_of(at.layer), out = outputs_of(at.layer), o = at.neuron;
    const float* weight = trained + trained_at(at.layer);
    const float* extra = weight + in * out;
    const float* bias = extra + extra_of(at.layer);
    const float gain = gain_of(at.layer);
    float c = gain;
    if (PARAMETERIZATION == WEIGHT_NORM) {
        float square = 0.0f;
        if (at.inside)
            for (int i = at.part; i < in; i += PER_NEURON)
                square = fmaf(weight[i * out + o], weight[i * out + o], square);
        const float norm = sqrtf(neuron_sum(square, room));
        if (at.inside) {
            c = gain * (extra[o] / norm);
            length[neurons_before(at.layer) + o] = norm;
        }
    }
    if (at.inside) {
        if (PARAMETERIZATION == SLOPE_PER_LAYER)
            c = gain * extra[0];
        if (PARAMETERIZATION == SLOPE_PER_NEURON || PARAMETERIZATION == DIRECT_SCALE)
            c = gain * extra[o];
        if (PARAMETERIZATION == LOG_SCALE)
            c = gain * expf(extra[o]);
        constexpr bool sloped = PARAMETERIZATION == SLOPE_PER_LAYER || PARAMETERIZATION == SLOPE_PER_NEURON;
        float* const to = dense + dense_at(at.layer);
        float* const turned = across + dense_at(at.layer);
        for (int i = at.part; i < in; i += PER_NEURON) {
            const float w = weight[i * out + o] * c;
            to[i * padded(out) + o] = w;
            turned[o * padded(in) + i] = w;
        }
        if (at.part == 0) {
            to[padded(in) * padded(out) + o] = bias[o] * (sloped ? c : gain);
            factor[neurons_before(at.layer) + o] = c;
        }
    }
    if (advance && blockIdx.x == 0 && threadIdx.x == 0)
        ++*step;
}

// From the gradient of dense layers to that of trained numbers; `squares` gets each block's sum of their squares,
// `slopes` each neuron's part of the gradient of a slope that a layer shares.
extern "C" __global__ void pull_back(const float* trained, const float* dense_gradient, const float* factor,
                                     const float* length, float* gradient, float* slopes, double* squares)
{
    __shared__ double room[THREADS];
    const Place at = place();
    const int in = inputs_of(at.layer), out = outputs_of(at.layer), o = at.neuron;
    const int weight_at = trained_at(at.layer), extra_at = weight_at + in * out;
    const int bias_at = extra_at + extra_of(at.layer);
    const float* g = dense_gradient + dense_at(at.layer);
    const float gain = gain_of(at.layer);
    // Σ over inputs of dW∘w.
    float sum = 0.0f;
    if (PARAMETERIZATION != PLAIN) {
        if (at.inside)
            for (int i = at.part; i < in; i += PER_NEURON)
                sum = fmaf(g[i * padded(out) + o], trained[weight_at + i * out + o], sum);
        sum = neuron_sum(sum, reinterpret_cast<float*>(room));
    }
    double square = 0.0;
    if (at.inside) {
        const float c = factor[neurons_before(at.layer) + o], db = g[padded(in) * padded(out) + o];
        constexpr bool sloped = PARAMETERIZATION == SLOPE_PER_LAYER || PARAMETERIZATION == SLOPE_PER_NEURON;
        // What lies along v is taken out of its gradient, for weight normalization.
        float along = 0.0f, extra = 0.0f;
        if (sloped)
            extra = gain * (sum + db * trained[bias_at + o]);
        if (PARAMETERIZATION == WEIGHT_NORM) {
            const float norm = length[neurons_before(at.layer) + o];
            extra = gain * (sum / norm);
            along = sum / norm / norm;
        }
        if (PARAMETERIZATION == LOG_SCALE)
            extra = sum * c;
        if (PARAMETERIZATION == DIRECT_SCALE)
            extra = sum * gain;
        for (int i = at.part; i < in; i += PER_NEURON) {
            float d = g[i * padded(out) + o];
            if (PARAMETERIZATION == WEIGHT_NORM)
                d -= along * trained[weight_at + i * out + o];
            d *= c;
            gradient[weight_at + i * out + o] = d;
            square += (double)d * d;
        }
        if (at.part == 0) {
            const float b = db * (sloped ? c : gain);
            gradient[bias_at + o] = b;
            square += (double)b * b;
            if (PARAMETERIZATION == SLOPE_PER_LAYER) {
                slopes[neurons_before(at.layer) + o] = extra;
            } else if (PARAMETERIZATION != PLAIN) {
                gradient[extra_at + o] = extra;
                square += (double)extra * extra;
            }
        }
    }
    square = block_sum(square, room);
    if (threadIdx.x == 0)
        squares[blockIdx.x] = square;
}

// The gradient of slopes that layers share, a block a layer; `squares` begins behind those of the neurons' blocks.
extern "C" __global__ void shared_slopes(const float* slopes, float* gradient, double* squares)
{
    __shared__ double room[THREADS];
    const int layer = blockIdx.x, out = outputs_of(layer);
    double sum = 0.0;
    for (int o = threadIdx.x; o < out; o += THREADS)
        sum += slopes[neurons_before(layer) + o];
    sum = block_sum(sum, room);
    if (threadIdx.x == 0) {
        const float d = (float)sum;
        gradient[trained_at(layer) + inputs_of(layer) * out] = d;
        squares[blockIdx.x] = (double)d * d;
    }
}
