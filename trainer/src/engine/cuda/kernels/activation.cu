// Activations and their slopes.

constexpr float TAU = 6.28318530717958647692f;

// Whether the slope follows from the value and need not be kept.
constexpr bool slope_from_value(int kind)
{
    return kind == IDENTITY || kind == RELU || kind == TANH || kind == SIGMOID;
}

// The slope where the activation's value is y.
template <int KIND>
inline float slope_at(float y)
{
    if (KIND == RELU)
        return y > 0.0f ? 1.0f : 0.0f;
    if (KIND == TANH)
        return 1.0f - y * y;
    if (KIND == SIGMOID)
        return y * (1.0f - y);
    return 1.0f;
}

// The value at z; its slope where that does not follow from it.
template <int KIND>
inline float activate(float z, float& slope)
{
    if (KIND == RELU)
        return z > 0.0f ? z : 0.0f;
    if (KIND == TANH)
        return tanhf(z);
    if (KIND == SIGMOID)
        return 1.0f / (1.0f + expf(-z));
    if (KIND == SINE) {
        // The argument is in turns: exact reduction, no slow path.
        float sine, cosine;
        sincospif(2.0f * z, &sine, &cosine);
        slope = TAU * cosine;
        return sine;
    }
    if (KIND == SWISH) {
        const float s = 1.0f / (1.0f + expf(-z));
        slope = s * (1.0f + z * (1.0f - s));
        return z * s;
    }
    if (KIND == GELU) {
        constexpr float K = 0.7978845608f, C = 0.044715f;
        const float t = tanhf(K * (z + C * z * z * z));
        slope = 0.5f * (1.0f + t) + 0.5f * z * (1.0f - t * t) * K * (1.0f + 3.0f * C * z * z);
        return 0.5f * z * (1.0f + t);
    }
    return z;
}
