// Sums over blocks, norm, and Adam's update over flat buffers.

// The blocks' gradients in their order, added to what was gathered before where `add` is set; the loss of this step
// goes to `reports` [steps, 2].
extern "C" __global__ void gather(const float* partial, int parts, float* dense_gradient, int add, const double* losses,
                                  double* reports, const int* step)
{
    const int at = blockIdx.x * THREADS + threadIdx.x;
    if (at < DENSE) {
        float sum = 0.0f;
#pragma unroll 8
        for (int part = 0; part < parts; ++part)
            sum += partial[(size_t)part * DENSE + at];
        dense_gradient[at] = add ? dense_gradient[at] + sum : sum;
    }
    if (blockIdx.x == 0) {
        __shared__ double room[THREADS];
        double loss = 0.0;
        for (int part = threadIdx.x; part < parts; part += THREADS)
            loss += losses[part];
        loss = block_sum(loss, room);
        if (threadIdx.x == 0)
            reports[2 * *step] = loss;
    }
}

// Zero instead of a number that is no more or hardly a normal one, as on the CPU.
inline float normal(float x) { return fabsf(x) < 1e-36f ? 0.0f : x; }

// One step of Adam or AdamW. `schedule` [steps, 8] holds each step's rate over the first bias correction, one over the
// root of the second, the share of trained numbers kept, both decays, epsilon, and the largest norm, below 0 for none.
// The norm before clipping goes to `reports`.
extern "C" __global__ void adam(float* trained, float* first, float* second, const float* gradient,
                                const double* squares, int parts, const float* schedule, double* reports,
                                const int* step)
{
    __shared__ double room[THREADS];
    double square = 0.0;
    for (int part = threadIdx.x; part < parts; part += THREADS)
        square += squares[part];
    const double norm = sqrt(block_sum(square, room));
    const float* now = schedule + 8 * *step;
    const float rate = now[0], root = now[1], keep = now[2], beta1 = now[3], beta2 = now[4], epsilon = now[5];
    const double limit = now[6];
    const float shrink = limit >= 0.0 && norm > limit ? (float)(limit / norm) : 1.0f;
    const int at = blockIdx.x * THREADS + threadIdx.x;
    if (at < TRAINED) {
        const float g = gradient[at] * shrink;
        const float m = normal(beta1 * first[at] + (1.0f - beta1) * g);
        const float v = normal(beta2 * second[at] + (1.0f - beta2) * (g * g));
        first[at] = m;
        second[at] = v;
        trained[at] = trained[at] * keep - rate * m / (sqrtf(v) * root + epsilon);
    }
    if (blockIdx.x == 0 && threadIdx.x == 0)
        reports[2 * *step + 1] = norm;
}
