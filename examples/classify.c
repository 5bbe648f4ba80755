/* Classifies a picture with the C library:   classify MODEL.onnx PICTURE.ppm [LABELS.txt]
 * The model takes one float tensor [1, 3, height, width] and gives one score a class. The picture
 * is a binary PPM (P6), LABELS has one name a line. Prints the three best classes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <treadle/treadle.h>

enum { kDefaultSide = 224, kTop = 3, kNameSize = 128 };

typedef struct picture {
  int width, height;
  unsigned char* pixels; /* RGB, row by row */
} picture;

static int fail(const char* what) {
  fprintf(stderr, "classify: %s\n", what);
  return 1;
}

static int read_picture(const char* path, picture* p) {
  FILE* file = fopen(path, "rb");
  int depth = 0;
  if (file == NULL) return fail("the picture cannot be opened");
  if (fscanf(file, "P6 %d %d %d", &p->width, &p->height, &depth) == 3 && depth == 255 &&
      p->width > 0 && p->height > 0 && p->width <= 1 << 14 && p->height <= 1 << 14) {
    const size_t size = (size_t)p->width * (size_t)p->height * 3;
    p->pixels = malloc(size);
    fgetc(file); /* the one blank after the header */
    if (p->pixels != NULL && fread(p->pixels, 1, size, file) != size) {
      free(p->pixels);
      p->pixels = NULL;
    }
  }
  fclose(file);
  return p->pixels == NULL ? fail("the picture is no complete 8-bit binary PPM") : 0;
}

/* The picture's value at (x, y) in channel c, between the pixels (bilinear). */
static float sample(const picture* p, float x, float y, int c) {
  const int x0 = x < 0 ? 0 : (int)x, y0 = y < 0 ? 0 : (int)y;
  const int x1 = x0 + 1 < p->width ? x0 + 1 : x0, y1 = y0 + 1 < p->height ? y0 + 1 : y0;
  const float fx = x < 0 ? 0 : x - (float)x0, fy = y < 0 ? 0 : y - (float)y0;
  const unsigned char* a = p->pixels + (size_t)y0 * (size_t)p->width * 3 + c;
  const unsigned char* b = p->pixels + (size_t)y1 * (size_t)p->width * 3 + c;
  const float above = (float)a[x0 * 3] * (1 - fx) + (float)a[x1 * 3] * fx;
  const float below = (float)b[x0 * 3] * (1 - fx) + (float)b[x1 * 3] * fx;
  return above * (1 - fy) + below * fy;
}

/* Fits the middle of the picture to [3, height, width], with ImageNet's mean and deviation. */
static void fill_input(const picture* p, int height, int width, float* out) {
  static const float mean[3] = {0.485f, 0.456f, 0.406f}, deviation[3] = {0.229f, 0.224f, 0.225f};
  const float by_x = (float)p->width / (float)width, by_y = (float)p->height / (float)height;
  const float step = by_x < by_y ? by_x : by_y;
  const float left = ((float)p->width - step * (float)width) / 2;
  const float top = ((float)p->height - step * (float)height) / 2;
  for (int c = 0; c < 3; ++c)
    for (int y = 0; y < height; ++y)
      for (int x = 0; x < width; ++x) {
        const float value = sample(p, left + ((float)x + 0.5f) * step - 0.5f,
                                   top + ((float)y + 0.5f) * step - 0.5f, c);
        *out++ = (value / 255 - mean[c]) / deviation[c];
      }
}

static void label_of(const char* path, size_t index, char* name) {
  FILE* file = path == NULL ? NULL : fopen(path, "r");
  snprintf(name, kNameSize, "class %lu", (unsigned long)index);
  for (size_t line = 0; file != NULL && line <= index; ++line)
    if (fgets(name, kNameSize, file) == NULL) break;
  name[strcspn(name, "\n")] = 0;
  if (file != NULL) fclose(file);
}

static void print_best(float* scores, size_t count, const char* labels) {
  for (int rank = 0; rank < kTop && (size_t)rank < count; ++rank) {
    char name[kNameSize];
    size_t best = 0;
    for (size_t i = 1; i < count; ++i)
      if (scores[i] > scores[best]) best = i;
    label_of(labels, best, name);
    printf("%8.4f  %s\n", scores[best], name);
    scores[best] = -1e30f;
  }
}

static treadle_status make_input(const treadle_model* model, const picture* p,
                                 treadle_value** input) {
  treadle_type type = {.struct_size = sizeof type};
  treadle_status status = treadle_model_input_type(model, 0, &type);
  if (status != TREADLE_OK) return status;
  const int64_t height = type.rank == 4 && type.dims[2] > 0 ? type.dims[2] : kDefaultSide;
  const int64_t width = type.rank == 4 && type.dims[3] > 0 ? type.dims[3] : kDefaultSide;
  const int64_t dims[4] = {1, 3, height, width};
  status = treadle_tensor_create(TREADLE_FLOAT, dims, 4, input);
  if (status == TREADLE_OK) fill_input(p, (int)height, (int)width, treadle_tensor_data(*input));
  return status;
}

static treadle_status classify(const char* path, const picture* p, const char* labels) {
  treadle_model* model = NULL;
  treadle_session* session = NULL;
  treadle_value *input = NULL, *output = NULL;
  treadle_status status = treadle_model_load(path, NULL, &model);
  if (status == TREADLE_OK) status = make_input(model, p, &input);
  if (status == TREADLE_OK) status = treadle_session_create(model, NULL, &session);
  if (status == TREADLE_OK) {
    const char* input_name = treadle_model_input_name(model, 0);
    const char* output_name = treadle_model_output_name(model, 0);
    const treadle_value* inputs[1] = {input};
    status = treadle_session_run(session, &input_name, inputs, 1, &output_name, &output, 1, NULL);
  }
  if (status == TREADLE_OK && treadle_tensor_dtype(output) == TREADLE_FLOAT)
    print_best(treadle_tensor_data(output), treadle_tensor_count(output), labels);
  treadle_value_release(output);
  treadle_value_release(input);
  treadle_session_release(session);
  treadle_model_release(model);
  return status;
}

int main(int argc, char** argv) {
  picture p = {0, 0, NULL};
  if (argc < 3) return fail("usage: classify MODEL.onnx PICTURE.ppm [LABELS.txt]");
  if (read_picture(argv[2], &p) != 0) return 1;
  const treadle_status status = classify(argv[1], &p, argc > 3 ? argv[3] : NULL);
  free(p.pixels);
  return status == TREADLE_OK ? 0 : fail(treadle_last_error());
}
