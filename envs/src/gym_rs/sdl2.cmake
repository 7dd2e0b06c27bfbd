# The toolchain file for the SDL2 that gym-rs compiles (see .cargo/config.toml): without the drivers that show or play something, because gym-rs draws into
# memory here, and with little optimisation.

set(CMAKE_C_FLAGS_RELEASE "-O1" CACHE STRING "" FORCE)
foreach(driver
        ALSA ARTS ASSEMBLY DISKAUDIO DUMMYAUDIO ESD HIDAPI_JOYSTICK JACK KMSDRM LIBSAMPLERATE NAS OPENGL OPENGLES OSS PIPEWIRE PULSEAUDIO RPI SNDIO VIRTUAL_JOYSTICK
        VIVANTE VULKAN WAYLAND X11)
    set(SDL_${driver} OFF CACHE BOOL "" FORCE)
endforeach()
